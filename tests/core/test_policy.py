"""The filters, one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from packaging.utils import NormalizedName
from packaging.version import Version

from pypim.core.errors import InvalidConfig, InvalidRequirement
from pypim.core.filenames import parse_filename
from pypim.core.model import DistFile
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.policy import Filters, Policy, Verdict, compile_pattern, filter_faults, parse_duration, parse_size

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def policy(**filters: object) -> Policy:
    return Policy.compile(msgspec.convert({k.replace("_", "-"): v for k, v in filters.items()}, Filters), "filters")


def judge(
    made: Policy, filename: str, *, project: str = "a", size: int | None = None, upload_time: str | None = None
) -> Verdict:
    name = parse_name(project)
    safe = parse_safe_filename(filename)
    file = DistFile(filename=safe, url=f"https://files.example/{safe}", size=size, upload_time=upload_time)
    return made.file_verdict(name, file, parse_filename(filename, name), NOW)


def allows(made: Policy, filename: str) -> bool:
    return judge(made, filename).is_allowed


def test_no_filters_allow_every_wheel_and_sdist() -> None:
    made = policy()
    assert made.project_verdict(NormalizedName("a"), is_dependency=False) == Verdict(is_allowed=True)
    assert made.release_verdict(NormalizedName("a"), None).is_allowed
    assert allows(made, "a-1.0-py3-none-any.whl")
    assert allows(made, "a-1.0.tar.gz")
    assert not allows(made, "a-1.0.win32-py2.7.exe")
    assert (made.keep_latest, made.prereleases, made.keeps_sdists, made.formats) == (None, False, False, None)


# --- exclude and allow ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("entry", "name", "is_denied"),
    [
        ("torch", "torch", True),
        ("torch", "torchvision", False),
        ("Zope.Interface", "zope-interface", True),
        ("tensorflow*", "tensorflow-gpu", True),
        ("tensorflow*", "tensor", False),
        ("zope_*", "zope-event", True),
        ("*-nightly", "tf-nightly", True),
        ("p?p", "pip", True),
        ("torch>=3", "torch", False),
    ],
)
def test_exclude_by_name_and_glob(entry: str, name: str, is_denied: bool) -> None:
    """Names match normalised; an entry with a specifier never takes the whole project."""
    for is_dependency in (True, False):
        verdict = policy(exclude=[entry]).project_verdict(NormalizedName(name), is_dependency=is_dependency)
        assert verdict.is_allowed is not is_denied
        assert verdict.reason == (f'filters.exclude: "{entry}"' if is_denied else "")


def test_exclude_by_requirement() -> None:
    made = policy(exclude=["torch>=3", "nvidia-* (<12)"])
    torch, nvidia = NormalizedName("torch"), NormalizedName("nvidia-cublas")
    assert made.release_verdict(torch, Version("3.1")) == Verdict(
        is_allowed=False, reason='filters.exclude: "torch>=3"'
    )
    assert not made.release_verdict(torch, Version("3.1rc1")).is_allowed
    assert made.release_verdict(torch, Version("2.9")).is_allowed
    assert made.release_verdict(torch, None).is_allowed
    assert not made.release_verdict(nvidia, Version("11")).is_allowed
    assert judge(made, "torch-3.1-py3-none-any.whl", project="torch").reason == 'filters.exclude: "torch>=3"'


def test_allow_speaks_of_roots_and_what_they_need_passes() -> None:
    made = policy(allow=["flask", "django<6", "zope-*"])
    for name in ("flask", "django", "zope-event"):
        assert made.project_verdict(NormalizedName(name), is_dependency=False).is_allowed
    refused = made.project_verdict(NormalizedName("click"), is_dependency=False)
    assert not refused.is_allowed
    assert refused.reason.startswith("filters.allow")
    assert made.project_verdict(NormalizedName("click"), is_dependency=True).is_allowed
    assert made.release_verdict(NormalizedName("click"), Version("9")).is_allowed
    assert made.release_verdict(NormalizedName("django"), Version("5")).is_allowed
    assert made.release_verdict(NormalizedName("django"), Version("6")).reason == 'filters.allow: "django<6"'
    assert not made.release_verdict(NormalizedName("django"), None).is_allowed


def test_exclude_wins_over_allow() -> None:
    made = policy(allow=["flask"], exclude=["fl*"])
    assert not made.project_verdict(NormalizedName("flask"), is_dependency=False).is_allowed


# --- formats, extensions, tags --------------------------------------------------------------------------------------
def test_formats() -> None:
    made = policy(formats=["sdist", "egg", "wininst"])
    assert made.keeps_sdists
    assert allows(made, "a-1.0.tar.gz")
    assert allows(made, "a-1.0-py2.7.egg")
    assert allows(made, "a-1.0.win32-py2.7.exe")
    assert judge(made, "a-1.0-py3-none-any.whl").reason == "filters.formats: wheel is not among them"
    assert not policy(formats=["wheel"]).keeps_sdists


def test_extensions() -> None:
    made = policy(extensions=["whl", ".tar.gz"])
    assert allows(made, "a-1.0.tar.gz")
    assert allows(made, "a-1.0-py3-none-any.whl")
    assert judge(made, "a-1.0.zip").reason == "filters.extensions: zip is not among them"


def test_python_tags_speak_of_wheels_and_eggs_only() -> None:
    made = policy(python_tags=["py3", "cp31*"], formats=["wheel", "sdist", "egg"])
    assert allows(made, "a-1.0-py2.py3-none-any.whl")
    assert allows(made, "a-1.0-cp312-cp312-win_amd64.whl")
    assert allows(made, "a-1.0.tar.gz")
    assert judge(made, "a-1.0-cp27-cp27m-win32.whl").reason == "filters.python-tags: cp27 is not among them"
    assert not allows(made, "a-1.0-py2.7.egg")
    assert allows(policy(python_tags=["py2.py3"]), "a-1.0-py2.py3-none-any.whl")


@pytest.mark.parametrize(
    ("globs", "filename", "is_denied"),
    [
        (["musllinux_*"], "a-1.0-cp312-cp312-musllinux_1_2_x86_64.whl", True),
        (["musllinux_*"], "a-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", False),
        # usable by machines with manylinux, whatever else it is for
        (["musllinux_*"], "a-1.0-cp312-cp312-manylinux_2_17_x86_64.musllinux_1_1_x86_64.whl", False),
        (["musllinux_*", "manylinux*"], "a-1.0-cp312-cp312-manylinux_2_17_x86_64.musllinux_1_1_x86_64.whl", True),
        (["manylinux*"], "a-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        (["py2"], "a-1.0-py2.py3-none-any.whl", False),
        (["py2"], "a-1.0-py2-none-any.whl", True),
        (["cp312"], "a-1.0-cp312-abi3-win32.whl", True),
        (["cp312-cp312-*"], "a-1.0-cp312-cp312-win32.whl", True),
        (["win"], "a-1.0-cp312-cp312-win32.whl", False),
        (["WIN*"], "a-1.0-cp312-cp312-win32.whl", True),
        (["*_arm64"], "a-1.0-7-cp312-cp312-macosx_11_0_arm64.whl", True),
        (["7"], "a-1.0-7-cp312-cp312-win32.whl", False),
        (["win-amd64"], "a-1.0.win-amd64-py2.7.exe", True),
        (["win_*"], "a-1.0.win-amd64-py2.7.exe", True),
        (["macosx_*"], "a-1.0-py2.7-macosx-10.9-x86_64.egg", True),
        (["py2.7"], "a-1.0-py2.7-macosx-10.9-x86_64.egg", True),
        (["linux*"], "a-1.0-py2.7-macosx-10.9-x86_64.egg", False),
        (["*"], "a-1.0-py3-none-any.whl", True),
        (["musllinux_*"], "a-1.0.tar.gz", False),
    ],
)
def test_exclude_tags_take_a_file_that_has_no_use_left(globs: list[str], filename: str, is_denied: bool) -> None:
    verdict = judge(policy(exclude_tags=globs, formats=["wheel", "sdist", "egg", "wininst"]), filename)
    assert verdict.is_allowed is not is_denied
    assert not is_denied or verdict.reason.startswith('filters.exclude-tags: "')


# --- size and age ---------------------------------------------------------------------------------------------------
def test_size_and_the_unknown_size() -> None:
    made = policy(max_file_size="1 kB")
    wheel = "a-1.0-py3-none-any.whl"
    assert judge(made, wheel, size=1000).is_allowed
    assert judge(made, wheel, size=1001).reason == "filters.max-file-size: 1,001 bytes, 1,000 are allowed"
    assert judge(made, wheel, size=None).is_allowed  # checked again while it is downloaded
    assert not judge(policy(max_file_size=5), wheel, size=6).is_allowed


@pytest.mark.parametrize(
    ("upload_time", "is_allowed"),
    [
        ("2026-11-17T11:59:59.999999Z", True),
        ("2026-11-17T12:00:00Z", False),  # the cutoff itself is too young, for pip and for uv
        ("2026-11-17T12:00:01+00:00", False),
        ("2026-11-20T11:00:00.123456Z", False),
        (None, False),
        ("yesterday", False),
    ],
)
def test_age_and_the_unknown_age(upload_time: str | None, is_allowed: bool) -> None:
    """What is not known to be old enough is not: fail closed."""
    verdict = judge(policy(min_age="3 days"), "a-1.0-py3-none-any.whl", upload_time=upload_time)
    assert verdict.is_allowed is is_allowed
    assert is_allowed or verdict.reason.startswith("filters.min-age: ")
    assert judge(policy(min_age="0 days"), "a-1.0-py3-none-any.whl", upload_time=upload_time).is_allowed


def test_a_young_file_says_when_it_is_old_enough() -> None:
    verdict = judge(policy(min_age="P7D"), "a-1.0-py3-none-any.whl", upload_time="2026-11-19T10:00:00Z")
    assert verdict.reason == "filters.min-age: uploaded 2026-11-19T10:00:00Z, old enough after 2026-11-26T10:00:00Z"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1 GB", 10**9),
        ("500 MiB", 500 * 2**20),
        ("1.5kB", 1500),
        ("0.1 TB", 10**11),
        ("4096", 4096),
        (4096, 4096),
        ("1_000_000", 10**6),
        ("10 B", 10),
        ("2g", 2 * 10**9),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1 XB", "1 GB GB", "one", "1e9", "\u0661"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidRequirement, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("3 days", timedelta(days=3)),
        ("1 day", timedelta(days=1)),
        ("12 hours", timedelta(hours=12)),
        ("2 weeks", timedelta(weeks=2)),
        ("1 week and 2 days", timedelta(days=9)),
        ("1 day, 6 hours", timedelta(hours=30)),
        ("90min", timedelta(minutes=90)),
        ("1.5 hours", timedelta(minutes=90)),
        ("0 days", timedelta()),
        ("P7D", timedelta(days=7)),
        ("P2W", timedelta(weeks=2)),
        ("p1dt12h", timedelta(hours=36)),
        ("PT30M", timedelta(minutes=30)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "3", "3 moons", "days", "P1M", "P1Y", "-3 days", "999999999 weeks", "P999999W"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidRequirement):
        parse_duration(text, "filters.min-age")


# --- patterns and faults --------------------------------------------------------------------------------------------
def test_patterns_match_the_whole_normalised_name() -> None:
    pattern = compile_pattern("Zope-.*", "patterns")
    assert pattern.fullmatch("zope-event")
    assert not pattern.fullmatch("plone-zope-event")
    with pytest.raises(InvalidRequirement, match=r"^indexes\.main\.patterns: '\(': this is not a regular expression"):
        compile_pattern("(", "indexes.main.patterns")


def test_every_fault_at_once_with_its_key() -> None:
    filters = Filters(
        exclude=("torch>>3", "fine", "te nsor*"),
        allow=("flask[async]",),
        formats=("whl",),
        keep_latest=0,
        max_file_size="1 XB",
        min_age="3 moons",
    )
    keys = ["exclude", "exclude", "allow", "formats", "keep-latest", "max-file-size", "min-age"]
    assert [key for key, _ in filter_faults(filters, "filters")] == keys
    with pytest.raises(InvalidConfig) as caught:
        Policy.compile(filters, "indexes.main.filters")
    assert len(caught.value.faults) == len(keys)
    assert all(line.startswith("indexes.main.filters: ") for line in caught.value.message.splitlines())
    assert "Use some of wheel, sdist, egg" in caught.value.message


def test_the_keys_are_those_of_the_configuration() -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(Filters)}
    assert keys == {
        *("exclude", "allow", "formats", "extensions", "python-tags", "exclude-tags"),
        *("keep-latest", "prereleases", "max-file-size", "min-age", "exclude-dependents"),
        *("max-project-size", "max-releases", "exclude-statuses", "exclude-classifiers", "exclude-licenses"),
    }
    with pytest.raises(msgspec.ValidationError, match="keep_latest"):
        msgspec.convert({"keep_latest": 3}, Filters)
