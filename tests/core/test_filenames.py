"""File names of every kind that indexes list, with what installers were measured to make of them."""

from __future__ import annotations

import pytest
from packaging.tags import Tag
from packaging.utils import NormalizedName
from packaging.version import Version

from pypim.core.filenames import FileKind, ParsedFilename, parse_filename, parse_version, project_of


def parsed(filename: str, project: str = "a") -> ParsedFilename:
    return parse_filename(filename, NormalizedName(project))


@pytest.mark.parametrize(
    ("filename", "kind", "version", "extension"),
    [
        ("a-1.0-py3-none-any.whl", FileKind.WHEEL, "1.0", "whl"),
        ("A-1.0-py3-none-any.whl", FileKind.WHEEL, "1.0", "whl"),
        ("a-01.0-py3-none-any.whl", FileKind.WHEEL, "1.0", "whl"),
        ("a-1.0+local.1-py3-none-any.whl", FileKind.WHEEL, "1.0+local.1", "whl"),
        ("a-1.0.tar.gz", FileKind.SDIST, "1.0", "tar.gz"),
        ("a-1.0.zip", FileKind.SDIST, "1.0", "zip"),
        ("a-1.0.tar.bz2", FileKind.SDIST, "1.0", "tar.bz2"),
        ("a-1.0.tgz", FileKind.SDIST, "1.0", "tgz"),
        ("a-1.0.tbz", FileKind.SDIST, "1.0", "tbz"),
        ("a-1.0.tar.xz", FileKind.SDIST, "1.0", "tar.xz"),
        ("a-1.0.tar", FileKind.SDIST, "1.0", "tar"),
        ("a-1.0.tar.Z", FileKind.SDIST, "1.0", "tar.z"),
        ("a-1.0-beta.tar.gz", FileKind.SDIST, "1.0b0", "tar.gz"),
        ("a-1.0-1.tar.gz", FileKind.SDIST, "1.0.post1", "tar.gz"),
        ("a-1.0.linux-x86_64.tar.gz", FileKind.DUMB, "1.0", "tar.gz"),
        ("a-1.0.macosx10.9.zip", FileKind.DUMB, "1.0", "zip"),
        ("a-1.0.win32.zip", FileKind.DUMB, "1.0", "zip"),
        ("a-1.0-py2.7.egg", FileKind.EGG, "1.0", "egg"),
        ("a-1.0_1-py2.7.egg", FileKind.EGG, "1.0.post1", "egg"),
        ("a-1.0-py2.7-linux-x86_64.egg", FileKind.EGG, "1.0", "egg"),
        ("a-1.0.win32-py2.7.exe", FileKind.WININST, "1.0", "exe"),
        ("a-1.0.win-amd64-py3.4.exe", FileKind.WININST, "1.0", "exe"),
        ("a-1.0.win32.exe", FileKind.WININST, "1.0", "exe"),
        ("a-1.0.win-amd64-py3.4.msi", FileKind.MSI, "1.0", "msi"),
        ("a-1.0-1.noarch.rpm", FileKind.RPM, "1.0", "rpm"),
        ("a-1.0-1.src.rpm", FileKind.RPM, "1.0", "rpm"),
        ("a-1.0-py2.5-macosx10.3.dmg", FileKind.DMG, "1.0", "dmg"),
        ("python3-a_1.0-1_all.deb", FileKind.DEB, "1.0.post1", "deb"),
    ],
)
def test_every_kind_has_its_version(filename: str, kind: FileKind, version: str, extension: str) -> None:
    result = parsed(filename)
    assert (result.kind, result.version, result.extension) == (kind, Version(version), extension)
    assert project_of(filename) is not None


@pytest.mark.parametrize(
    ("filename", "kind", "version_text"),
    [
        ("a-2004d.tar.gz", FileKind.SDIST, "2004d"),
        ("a-1.0dev-r123.tar.gz", FileKind.SDIST, "1.0dev-r123"),
        ("a-0.9.0-SNAPSHOT.zip", FileKind.SDIST, "0.9.0-SNAPSHOT"),
        ("a-foo.tar.gz", FileKind.SDIST, "foo"),
        ("a-1.0_local-py3-none-any.whl", FileKind.WHEEL, "1.0_local"),
        ("setup.exe", FileKind.WININST, None),
    ],
)
def test_legacy_versions_are_kept_as_text(filename: str, kind: FileKind, version_text: str | None) -> None:
    """Case 46: version strings like `2004d` are listed and crash nothing."""
    result = parsed(filename)
    assert (result.kind, result.version_text, result.version) == (kind, version_text, None)


@pytest.mark.parametrize(
    "filename",
    [
        "a-1.0-py3-none-any-x86_64_v3.whl",  # PEP 825
        "a-1.0-1-py3-none-any-x86_64_v3.whl",
        "a-1.0-variants.json",
        "a-1.0-x1-py3-none-any.whl",
        "a-1.0-py3-none.whl",
        "a-1.0--none-any.whl",
        "a-1.0-py3-none-any.whlx",
        "a-1.0.tar.gz.asc",
        "b-1.0-py3-none-any.whl",
        "b-1.0.tar.gz",
        "a.whl",
        "a",
        "",
        "-",
    ],
)
def test_unknown_shapes_are_unknown(filename: str) -> None:
    """Case 50: a variant label is never misread as a build tag."""
    result = parsed(filename)
    assert result.kind is FileKind.UNKNOWN
    assert result.version is None


def test_the_project_decides_where_the_version_begins() -> None:
    """Case 48: `foo-bar-1.0-1.tar.gz` is 1.0.post1 of foo-bar, and not a file of foo."""
    assert parsed("foo-bar-1.0-1.tar.gz", "foo-bar").version == Version("1.0.post1")
    assert parsed("foo-bar-1.0-1.tar.gz", "foo").kind is FileKind.UNKNOWN


def test_an_escaped_name_is_needed_in_wheels() -> None:
    """`foo-bar-1.0-py3-none-any.whl` is read by no installer; dots and capitals are."""
    assert parsed("foo-bar-1.0-py3-none-any.whl", "foo-bar").kind is FileKind.UNKNOWN
    assert parsed("foo-bar-1.0-py3-none-any.whl", "foo").kind is FileKind.UNKNOWN
    assert parsed("Foo.bar-1.0-py3-none-any.whl", "foo-bar").kind is FileKind.WHEEL
    assert parsed("foo--bar-1.0.tar.gz", "foo-bar").version == Version("1.0")


def test_compressed_tag_sets_expand_to_their_product() -> None:
    """Case 51: also when they are not sorted."""
    result = parsed("a-1.0-py3.py2-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert result.tags is not None
    assert set(result.tags) == {
        Tag(python, "none", platform)
        for python in ("py2", "py3")
        for platform in ("manylinux_2_17_x86_64", "manylinux2014_x86_64")
    }
    assert result.python_tags == ("py3", "py2")


def test_build_tags_sort_as_numbers() -> None:
    """Case 52: `-1-`, `-2a-`, `-10-`, and none comes first."""
    names = ["a-1.0-10-py3-none-any.whl", "a-1.0-2a-py3-none-any.whl", "a-1.0-py3-none-any.whl"]
    names.append("a-1.0-1-py3-none-any.whl")
    builds = sorted(parsed(name).build for name in names)
    assert builds == [(), (1, ""), (2, "a"), (10, "")]


@pytest.mark.parametrize(
    ("filename", "pythons", "tag_text"),
    [
        ("a-1.0-1-cp312-abi3-win_amd64.whl", ("cp312",), "1-cp312-abi3-win_amd64"),
        ("a-1.0.win32-py2.7.exe", ("py2.7",), "win32-py2.7"),
        ("a-1.0-py2.7-linux-x86_64.egg", ("py2.7",), "py2.7-linux-x86_64"),
        ("a-1.0.linux-x86_64.tar.gz", (), "linux-x86_64"),
        ("a-1.0-1.noarch.rpm", (), "1.noarch"),
        ("a-1.0.tar.gz", (), ""),
    ],
)
def test_what_stands_behind_the_version(filename: str, pythons: tuple[str, ...], tag_text: str) -> None:
    result = parsed(filename)
    assert (result.python_tags, result.tag_text) == (pythons, tag_text)


def test_different_spellings_of_one_version_are_equal() -> None:
    """Case 47: `1.0`, `1.00` and `1.0.0` are one release; the file names stay as they are."""
    versions = {parsed(f"a-{text}.tar.gz").version for text in ("1.0", "1.00", "1.0.0")}
    assert len(versions) == 1


def test_a_number_beyond_reason_is_no_version() -> None:
    assert parse_version("1" * 5000) is None


@pytest.mark.parametrize(
    ("filename", "project"),
    [
        ("foo_bar-1.0-py3-none-any.whl", "foo-bar"),
        ("foo-bar-1.0.tar.gz", "foo-bar"),
        ("foo-1.0-beta.zip", "foo"),
        ("Foo.Bar-1.0.linux-x86_64.tar.gz", "foo-bar"),
        ("python-foo_1.0_all.deb", "foo"),
        ("foo-1.0-1.noarch.rpm", "foo"),
        ("foo-1.0-py3-none-any.whlx", None),
        ("index.html", None),
        ("foo.tar.gz", None),
        ("foo-bar-1.0-py3-none-any.whl", None),
        ("_-1.0.tar.gz", None),
    ],
)
def test_the_project_of_a_file_in_a_folder(filename: str, project: str | None) -> None:
    assert project_of(filename) == project
