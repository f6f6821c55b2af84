"""Properties of choosing: what must hold for every rule, marker, filter and requirements file."""

from __future__ import annotations

import random
import string
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.markers import Marker, UndefinedComparison
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.version import Version

from pypim.core.errors import InvalidConfig
from pypim.core.filenames import parse_filename
from pypim.core.markers import evaluate
from pypim.core.model import DistFile
from pypim.core.names import normalize_extra, parse_name, parse_safe_filename
from pypim.core.platforms import SHORT_NAMES
from pypim.core.policy import Filters, Policy
from pypim.core.requirements import read_requirements
from pypim.core.rules import choose, parse_rule
from pypim.core.target import MARKER_VARIABLES, Environment, TargetSpec, environments, python_allows, wheel_rank

NOW = datetime(2026, 11, 20, tzinfo=UTC)

# --- rules ----------------------------------------------------------------------------------------------------------
VERSIONS = st.lists(
    st.builds(
        lambda epoch, numbers, suffix, local: Version(f"{epoch}{'.'.join(map(str, numbers))}{suffix}{local}"),
        st.sampled_from(["", "", "", "1!"]),
        st.lists(st.integers(0, 3), min_size=1, max_size=3),
        st.sampled_from(["", "", "", "a1", "rc2", ".dev3", ".post1"]),
        st.sampled_from(["", "", "+cu1"]),
    ),
    max_size=12,
)
SPECIFIERS = st.lists(
    st.builds(
        lambda operator, version: f"{operator}{version}",
        st.sampled_from([">=", "<", "<=", ">", "!=", "==", "===", "~="]),
        st.sampled_from(["1.0", "2.1", "3.0a1", "1!0.5", "0.1.dev1", "2.1.2"]),
    ),
    max_size=2,
).map(",".join)
RULES = st.one_of(
    st.builds(lambda n, s: f"{n} latest {s}", st.integers(1, 4), SPECIFIERS),
    SPECIFIERS,
    st.sampled_from(["latest", "*", "1.0", "3.0a1"]),
)


@given(RULES, VERSIONS, st.booleans(), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_order(
    text: str, versions: list[Version], allow: bool, rng: random.Random
) -> None:
    rule = parse_rule(text, "packages.a")
    chosen = choose(rule, versions, allow_prereleases=allow)
    shuffled = [*versions, *versions[:2]]
    rng.shuffle(shuffled)
    assert choose(rule, shuffled, allow_prereleases=allow) == chosen


@given(RULES, VERSIONS, st.booleans())
def test_a_choice_is_made_of_what_matches_newest_first(text: str, versions: list[Version], allow: bool) -> None:
    rule = parse_rule(text, "packages.a")
    chosen = choose(rule, versions, allow_prereleases=allow)
    assert set(chosen) <= set(versions)
    assert all(rule.specifier.contains(version, prereleases=True) for version in chosen)
    assert chosen == sorted(set(chosen), reverse=True)
    assert rule.count is None or len(chosen) <= rule.count
    matching = {version for version in versions if rule.specifier.contains(version, prereleases=True)}
    assert bool(chosen) is bool(matching)  # PEP 440: a pre-release is taken when nothing else matches
    if allow or rule.is_pin:
        assert chosen == sorted(matching, reverse=True)[: rule.count]


@given(RULES, VERSIONS)
def test_a_prerelease_needs_a_reason(text: str, versions: list[Version]) -> None:
    rule = parse_rule(text, "packages.a")
    chosen = choose(rule, versions, allow_prereleases=False)
    if rule.is_pin or any(Version(s.version).is_prerelease for s in rule.specifier if s.operator != "!="):
        return
    finals = [v for v in versions if not v.is_prerelease and rule.specifier.contains(v)]
    assert not finals or not any(version.is_prerelease for version in chosen)


# --- markers --------------------------------------------------------------------------------------------------------
KNOWN = {
    "implementation_name": ["cpython", "pypy"],
    "implementation_version": ["3.12.4", "7.3.17"],
    "os_name": ["posix", "nt"],
    "platform_machine": ["x86_64", "arm64", "AMD64"],
    "platform_python_implementation": ["CPython", "PyPy"],
    "platform_release": ["5.15.0-91-generic", "10", "6.1", ""],
    "platform_system": ["Linux", "Windows"],
    "platform_version": ["#1 SMP", "10.0.22631", ""],
    "python_full_version": ["3.8.0", "3.12.4", "3.13.0rc1"],
    "python_version": ["2.7", "3.8", "3.12"],
    "sys_platform": ["linux", "win32", "darwin"],
}
LITERALS = [value for values in KNOWN.values() for value in values] + ["3.12.*", "linux win32", "it's", "3", "x"]
ATOMS = st.builds(
    lambda variable, operator, literal, is_reversed: (
        f'"{literal}" {operator} {variable}' if is_reversed else f'{variable} {operator} "{literal}"'
    ),
    st.sampled_from(MARKER_VARIABLES),
    st.sampled_from(["==", "!=", ">=", "<=", ">", "<", "~=", "===", "in", "not in"]),
    st.sampled_from(LITERALS),
    st.booleans(),
) | st.builds(lambda operator, name: f'extra {operator} "{name}"', st.sampled_from(["==", "!="]), st.sampled_from("ab"))
MARKERS = st.recursive(
    ATOMS,
    lambda inner: st.builds(
        lambda left, word, right, is_grouped: f"({left} {word} {right})" if is_grouped else f"{left} {word} {right}",
        inner,
        st.sampled_from(["and", "or"]),
        inner,
        st.booleans(),
    ),
    max_leaves=6,
)
CLOSED = st.fixed_dictionaries({variable: st.sampled_from(values) for variable, values in KNOWN.items()})


def environment_of(variables: dict[str, str]) -> Environment:
    return Environment(name="closed", target="closed", variables=variables)


@given(MARKERS, CLOSED, st.sampled_from(["", "a", "b"]))
def test_a_marker_on_a_known_machine_is_what_packaging_says(text: str, variables: dict[str, str], extra: str) -> None:
    marker = Marker(text)
    try:
        expected = marker.evaluate({**variables, "extra": extra})
    except UndefinedComparison:
        assume(False)
    extras = frozenset({normalize_extra(extra)}) if extra else frozenset()
    assert evaluate(marker, environment_of(variables), extras) in {expected, None}
    if not any(operator in text for operator in ("~=", "===")):
        assert evaluate(marker, environment_of(variables), extras) is expected


@given(MARKERS, CLOSED, st.sets(st.sampled_from(MARKER_VARIABLES)))
def test_what_is_certain_of_an_open_machine_holds_on_every_machine(
    text: str, variables: dict[str, str], left_open: set[str]
) -> None:
    """Leaving variables open may turn an answer into None, never into the other one."""
    marker = Marker(text)
    known = {variable: value for variable, value in variables.items() if variable not in left_open}
    certain = evaluate(marker, environment_of(known))
    assert certain is None or evaluate(marker, environment_of(variables)) in {certain, None}


@given(
    st.sampled_from([">=", "<=", ">", "<", "==", "!=", "~="]),
    st.sampled_from(["3.8", "3.11.9", "3.12", "3.12.0", "3.12.4", "3.12.0rc1", "3.12.4rc1", "3.13", "3.12.*", "4"]),
    st.integers(0, 30),
    st.booleans(),
)
def test_what_is_certain_of_3_12_holds_for_each_of_its_patch_releases(
    operator: str, literal: str, patch: int, is_reversed: bool
) -> None:
    text = (
        f'"{literal}" {operator} python_full_version' if is_reversed else f'python_full_version {operator} "{literal}"'
    )
    (every,) = environments({"t": TargetSpec(python=("3.12",))})
    certain = evaluate(Marker(text), every)
    if certain is not None:
        assert evaluate(Marker(text), environment_of({"python_full_version": f"3.12.{patch}"})) is certain
    specifier = f"{operator}{literal}"
    assume(not (literal.endswith("*") and operator not in {"==", "!="}) and not (operator == "~=" and literal == "4"))
    assert python_allows(every, specifier) or not SpecifierSet(specifier).contains(f"3.12.{patch}")


# --- targets --------------------------------------------------------------------------------------------------------
@given(
    st.sampled_from(["3.9", "3.12", "3.13t"]),
    st.sampled_from(sorted(SHORT_NAMES)),
    st.sampled_from(["cp312-cp312", "cp38-abi3", "cp313-cp313t", "py3-none", "pp310-pypy310_pp73", "cp39-cp39"]),
    st.sampled_from(sorted({*SHORT_NAMES.values(), "any", "macosx_11_0_universal2", "win32", "linux_x86_64"})),
)
def test_an_open_target_accepts_whatever_a_narrower_one_does(python: str, platform: str, abi: str, tag: str) -> None:
    tags = parse_tag(f"{abi}-{tag}")
    (narrow,) = environments({"t": TargetSpec(python=(python,), platforms=(platform,))})
    wider = [
        *environments({"t": TargetSpec(python=(python,))}),
        *environments({"t": TargetSpec(platforms=(platform,))}),
        *environments({"t": TargetSpec(markers={"sys_platform": (narrow.variables["sys_platform"],)})}),
        *environments({}),
    ]
    if wheel_rank(narrow, tags) is not None:
        assert all(wheel_rank(environment, tags) is not None for environment in wider)


# --- filters --------------------------------------------------------------------------------------------------------
FILENAMES = st.sampled_from(
    [
        "a-1.0-py3-none-any.whl",
        "a-2.0rc1-cp312-cp312-manylinux_2_17_x86_64.musllinux_1_1_x86_64.whl",
        "a-3.0-cp312-abi3-win_amd64.whl",
        "a-1.0.tar.gz",
        "a-2004d.zip",
        "a-1.0-py2.7-macosx-10.9-x86_64.egg",
        "a-1.0.win-amd64-py2.7.exe",
        "a-1.0-variants.json",
        "a-1.0-x86_64.txt",
    ]
)
TAG_GLOBS = st.text("*?_.-abcnoxw0123", min_size=1, max_size=8) | st.sampled_from(["musllinux_*", "win*", "py3", "*"])
PROJECT_GLOBS = st.sampled_from(["a", "b", "a*", "*", "a>=2", "a<2", "?", "*>1", "a==1.0"])
FILTERS = st.builds(
    Filters,
    exclude=st.lists(PROJECT_GLOBS, max_size=2).map(tuple),
    formats=st.none() | st.lists(st.sampled_from(["wheel", "sdist", "egg", "wininst"]), max_size=4).map(tuple),
    extensions=st.lists(st.sampled_from(["whl", "tar.gz", "zip", "egg", "exe"]), max_size=2).map(tuple),
    python_tags=st.lists(st.sampled_from(["py3", "cp312", "py2.7"]), max_size=1).map(tuple),
    exclude_tags=st.lists(TAG_GLOBS, max_size=2).map(tuple),
    max_file_size=st.none() | st.sampled_from(["10", "1 kB"]),
    min_age=st.none() | st.sampled_from(["0 days", "2 days"]),
)
FILES = st.builds(
    lambda name, size, age: DistFile(
        filename=parse_safe_filename(name),
        url=f"https://files.example/{name}",
        size=size,
        upload_time=None if age is None else (NOW - timedelta(hours=age)).isoformat(),
    ),
    FILENAMES,
    st.none() | st.integers(0, 2000),
    st.none() | st.integers(0, 100),
)


def admitted(filters: Filters, files: list[DistFile]) -> set[DistFile]:
    policy = Policy.compile(filters, "filters")
    name = parse_name("a")
    if not policy.project_verdict(name, is_dependency=True).is_allowed:
        return set()
    verdicts = [(file, policy.file_verdict(name, file, parse_filename(file.filename, name), NOW)) for file in files]
    assert all(verdict.is_allowed or verdict.reason.startswith("filters.") for _, verdict in verdicts)
    return {file for file, verdict in verdicts if verdict.is_allowed}


@given(FILTERS, st.lists(FILES, max_size=6), PROJECT_GLOBS, TAG_GLOBS, st.integers(0, 2000), st.integers(0, 100))
def test_adding_a_deny_never_adds_a_file(
    filters: Filters, files: list[DistFile], project: str, tag: str, size: int, age: int
) -> None:
    before = admitted(filters, files)
    denials: list[dict[str, object]] = [
        {"exclude": (*filters.exclude, project)},
        {"exclude_tags": (*filters.exclude_tags, tag)},
    ]
    if filters.max_file_size is None:
        denials.append({"max_file_size": size})
    if filters.min_age is None:
        denials.append({"min_age": f"{age} hours"})
    for denial in denials:
        fields = {field: getattr(filters, field) for field in filters.__struct_fields__}
        assert admitted(Filters(**{**fields, **denial}), files) <= before


@given(st.lists(st.text(string.printable, max_size=12), max_size=4).map(tuple), st.text(string.printable, max_size=12))
def test_filters_of_any_text_either_compile_or_say_why(texts: tuple[str, ...], text: str) -> None:
    with suppress(InvalidConfig):
        Policy.compile(Filters(exclude=texts, exclude_tags=texts, max_file_size=text, min_age=text), "filters")


# --- requirements files ---------------------------------------------------------------------------------------------
REQUIREMENTS = st.builds(
    lambda name, extras, specifier, marker, hashes: (
        f"{name}{extras}{specifier}{f'; {marker}' if marker else ''}",
        frozenset(hashes),
    ),
    st.sampled_from(["flask", "Zope.Interface", "a_b", "x1"]),
    st.sampled_from(["", "[async]", "[a,b]"]),
    SPECIFIERS,
    st.none() | MARKERS,
    st.sets(st.sampled_from([f"sha256:{digit * 64}" for digit in "0aF".lower()])),
)
DECORATIONS = st.sampled_from(["", "\n", "# comment\n", "--pre\n", "   \n", "\f"])


@given(
    st.lists(st.tuples(REQUIREMENTS, DECORATIONS, st.sampled_from(["  # why", "", "   "])), max_size=6), st.booleans()
)
def test_a_requirements_file_says_what_was_written_into_it(
    lines: list[tuple[tuple[str, frozenset[str]], str, str]], is_continued: bool
) -> None:
    separator = " \\\n    " if is_continued else " "
    text = "".join(
        f"{before}{separator.join([requirement, *(f'--hash={h}' for h in sorted(hashes))])}{after}\n"
        for (requirement, hashes), before, after in lines
    )
    found = read_requirements("r.txt", lambda _path: text)
    assert [(line.text, line.hashes) for line in found.requirements] == [entry for entry, _, _ in lines]
    again = read_requirements("r.txt", lambda _path: "\n".join(str(line.requirement) for line in found.requirements))
    assert [line.requirement for line in again.requirements] == [line.requirement for line in found.requirements]


@given(st.text(string.printable + "é§\u2028", max_size=60))
def test_any_text_is_a_requirements_file_or_a_list_of_faults(text: str) -> None:
    with suppress(InvalidConfig):
        read_requirements("r.txt", lambda path: text if path == "r.txt" else "")
