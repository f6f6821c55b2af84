"""What a requirements file asks a cache to hold: lines, and the release that an installer would take."""

from __future__ import annotations

import time

import msgspec
import pytest
from packaging.utils import NormalizedName

from pypim.core.filling import Ignored, Unusable, Wanted, file_named, read_wanted, wanted_files
from pypim.core.model import DistFile, Page, ProjectStatus
from pypim.core.names import parse_safe_filename

FOO = NormalizedName("foo")


def page(*filenames: str, **yanked: bool) -> Page:
    files = []
    for filename in filenames:
        name = parse_safe_filename(filename.removesuffix("!"))
        files.append(DistFile(filename=name, url=f"https://files.example/{name}", yanked=filename.endswith("!")))
    return Page(name=FOO, files=tuple(files))


def test_lines_are_requirements_or_say_what_is_wrong() -> None:
    lines = ("Foo_Bar[x]>=1 # why", "-r other.txt", "baz @ https://files.example/b.whl", "flask>=", "--index-url x", "")
    found = read_wanted("\n".join(lines))
    assert [one.project for one in found if isinstance(one, Wanted)] == ["foo-bar"]
    reasons = [one.reason for one in found if isinstance(one, Unusable)]
    assert len(reasons) == 3
    assert reasons[0] == "other.txt is another file: send it by itself"


def test_options_are_said_to_be_ignored() -> None:
    """Who names an index must know that its files are not the ones that are held; a password in it is not repeated."""
    found = read_wanted("-i https://u:secret@index.example/simple\nfoo\n--no-index --pre\n")
    ignored = [one for one in found if isinstance(one, Ignored)]
    assert [one.text for one in ignored] == ["--index-url", "--no-index", "--pre"]
    assert "the index that was asked" in ignored[0].reason
    assert "installer" in ignored[2].reason


@pytest.mark.parametrize(
    ("requirement", "version"),
    [
        ("foo", "2.0"),
        ("foo<2", "1.0"),
        ("foo==3.0", "3.0"),
        ("foo>=2.1a1", "2.1a1"),
        ("foo==9", ""),
        ("foo>2.0", "2.1a1"),
    ],
)
def test_the_release_is_the_one_that_an_installer_takes(requirement: str, version: str) -> None:
    listed = page(
        "foo-1.0.tar.gz",
        "foo-2.0.tar.gz",
        "foo-2.0-py3-none-any.whl",
        "foo-2.1a1.tar.gz",
        "foo-3.0.tar.gz!",
        "foo-9.exe",
    )
    (wanted,) = read_wanted(requirement)
    assert isinstance(wanted, Wanted)
    found, files = wanted_files(wanted, listed)
    assert found == version
    assert bool(files) == bool(version)
    assert len(files) == (2 if version == "2.0" else bool(version))
    locked = msgspec.structs.replace(listed, status=ProjectStatus.QUARANTINED)
    assert wanted_files(wanted, locked) == ("", ())


@pytest.mark.parametrize("asked", ["Foo-1.0.tar.gz", "foo-1.0.tar.gz", "FOO-1.0.tar.gz", "FOO-1.0.TAR.GZ"])
def test_a_file_is_found_however_its_project_is_spelled(asked: str) -> None:
    found = file_named(page("foo-1.0.zip", "foo-1.0.tar.gz"), asked)
    assert found is not None
    assert found.filename == "foo-1.0.tar.gz"


def test_another_file_is_not_found() -> None:
    listed = page("foo-1.0-py2.7.egg", "foo-1.0-py3-none-any.whl")
    for asked in ("Foo-1.0-py2.7.egg", "FOO-1.0-PY2.7.EGG"):
        assert file_named(listed, asked) == listed.files[0]
    assert file_named(listed, "FOO-1.0-Py3-None-Any.WHL") == listed.files[1]
    for asked in ("foo-1.0-py2.6.egg", "foo-1.0-cp312-none-any.whl", "nonsense", "foo-1.1.tar.gz"):
        assert file_named(listed, asked) is None
    locked = msgspec.structs.replace(listed, status=ProjectStatus.QUARANTINED)
    assert file_named(locked, "foo-1.0-py2.7.egg") is None


@pytest.mark.parametrize("part", [" ", "\t", "-", "a -", "a #", "[", "a\\\n"])
def test_no_line_takes_long_to_read(part: str) -> None:
    """Anybody may send one of a megabyte: of blanks it took an hour."""
    began = time.monotonic()
    found = read_wanted((part * 1_000_000)[:1_000_000] + "\nflask>=1 # why\n")
    assert time.monotonic() - began < 5
    assert [one.text for one in found if isinstance(one, Wanted)][-1:] == ["flask>=1"]


def test_a_line_that_is_too_long_is_unusable() -> None:
    hashes = " ".join(f"--hash=sha256:{number:064x}" for number in range(400))
    found = read_wanted(f"flask==1.0 {hashes}\nflask==2.0 {hashes} {hashes}\n")
    assert [type(one) for one in found] == [Wanted, Unusable]
    assert found[1] == Unusable("line 2", "it has more than 32,768 characters")
