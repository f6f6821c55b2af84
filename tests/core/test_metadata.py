"""Core metadata and requirements as they are in the wild."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName

from pypim.core.metadata import (
    build_requires,
    parse_metadata,
    parse_pkg_info,
    parse_pyproject,
    parse_requirement,
    parse_requires_txt,
    parse_specifier_set,
    requires_txt_extras,
)
from pypim.core.model import CoreMetadata, MetadataSource


def read(text: str) -> CoreMetadata:
    return parse_metadata(text.encode(), MetadataSource.WHEEL)


def test_the_fields_of_resolution_are_read_and_the_body_is_not() -> None:
    metadata = read(
        "Metadata-Version: 2.4\r\nName: A.b\r\nVersion: 1.0\r\nRequires-Python: >=3.8\r\n"
        "requires-dist: b>=1\r\nRequires-Dist: c ; extra == 'x'\r\nProvides-Extra: x\r\n\r\nRequires-Dist: no\r\n"
    )
    assert (metadata.name, metadata.version, metadata.requires_python) == ("A.b", "1.0", ">=3.8")
    assert metadata.requires_dist == ("b>=1", "c ; extra == 'x'")
    assert metadata.provides_extra == ("x",)
    assert not metadata.faults


def test_folded_headers_are_unfolded() -> None:
    metadata = read("Metadata-Version: 2.1\nName:\n a\nVersion: 1\nRequires-Dist: b\n  >=1,\n\t<2\n\n")
    assert metadata.name == "a"
    assert metadata.requires_dist == ("b >=1, <2",)


def test_old_files_hold_odd_things() -> None:
    """Duplicate single-use fields, Latin-1, UNKNOWN, and a first line that goes on with nothing."""
    body = b" odd\nMetadata-Version: 1.0\nName: a\nName: c\nVersion: 1\nSummary: caf\xe9\n"
    metadata = parse_metadata(body + b"Requires-Dist: b\nRequires-Python: UNKNOWN\n", MetadataSource.WHEEL)
    assert (metadata.name, metadata.requires_dist, metadata.requires_python) == ("a", ("b",), None)


def test_headers_end_where_installers_see_their_end() -> None:
    """At a line that is no field: what stands behind it, in an old description, is required by nobody."""
    metadata = read("Metadata-Version: 1.0\nName: a\nVersion: 1\nno field\nRequires-Dist: b\n")
    assert (metadata.name, metadata.requires_dist) == ("a", ())
    assert read("\ufeffMetadata-Version: 1.0\nName: a\n").name is None
    assert read("From me\nName: a\nMetadata-Version: 1.0\n").name == "a"


@pytest.mark.parametrize(
    "body", [b"", b"<!DOCTYPE html><html></html>", b"\x00\xff" * 100, b"\n\n\nName: a\nVersion: 1\n"]
)
def test_what_is_no_metadata_has_no_name_and_says_so(body: bytes) -> None:
    metadata = parse_metadata(body, MetadataSource.SIDECAR)
    assert metadata.name is None
    assert metadata.faults


def test_an_unknown_major_version_is_a_fault() -> None:
    """Core metadata: a higher major version must fail; the caller sees it in the faults."""
    assert "unknown major" in read("Metadata-Version: 3.0\nName: a\nVersion: 1\n").faults[0]
    assert not read("Metadata-Version: 2.9\nName: a\nVersion: 1\n").faults


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        ("b>=1.0.*", "b>=1.0"),
        ("b>0.5<2", "b>0.5,<2"),
        ("b!=~5.0", "b!=5.0.*"),
        ("b==3.0*", "b==3.0.*"),
        ("b>='2.7'", "b>=2.7"),
        ("b>dev", "b>0.0.0.dev0"),
        ("b (>=1.*,<2.*)", "b>=1,<2"),
        ("b[X, y]>=1.*; python_version<'3'", "b[X,y]>=1; python_version < '3'"),
        ("b>=9.0.0a1.0", "b>=9.0.0a1"),
        ("b~=3", "b~=3.0"),
        ("b >= 1, , < 2,", "b>=1,<2"),
    ],
)
def test_what_uv_repairs_is_repaired(text: str, repaired: str) -> None:
    """Case 53: the closure still includes b."""
    requirement = parse_requirement(text)
    assert requirement is not None
    assert requirement.is_repaired
    assert requirement.name == "b"
    assert Requirement(requirement.text) == Requirement(repaired)
    assert read(f"Name: a\nMetadata-Version: 2.1\nRequires-Dist: {text}\n").requires_dist == (requirement.text,)


@pytest.mark.parametrize(
    "text",
    ["b (>=1)", "b>=1,", "B[Foo_Bar] (>=1) ; extra == 'Foo_Bar'", "b @ https://files.example/b.whl ; extra=='x'"],
)
def test_what_is_valid_is_left_alone(text: str) -> None:
    requirement = parse_requirement(text)
    assert requirement is not None
    assert not requirement.is_repaired
    assert requirement.text == text


def test_extras_and_names_are_normalised() -> None:
    """Case 55: `extra == 'Foo_Bar'` and `[foo.bar]` meet (PEP 685)."""
    requirement = parse_requirement("B.b[Foo_Bar]>=1")
    assert requirement is not None
    assert requirement.name == "b-b"
    assert requirement.extras == {NormalizedName("foo-bar")}


@pytest.mark.parametrize("marker", ["planet == 'mars'", "'x' in extras", "python_version >", "", "os_name == 'a' and"])
def test_an_unreadable_marker_keeps_the_dependency(marker: str) -> None:
    """Case 54: unknown marker: the dependency is included, and flagged."""
    requirement = parse_requirement(f"b>=1; {marker}")
    assert requirement is not None
    assert (requirement.name, requirement.marker, requirement.is_repaired) == ("b", None, True)
    assert len(read(f"Name: a\nMetadata-Version: 2.1\nRequires-Dist: b; {marker}\n").faults) == 1


def test_a_variable_named_in_a_string_is_no_variable() -> None:
    requirement = parse_requirement("b; platform_version == 'extras'")
    assert requirement is not None
    assert requirement.marker is not None


@pytest.mark.parametrize(
    "text", ["", "b foo", "@", "===", "b @", "-b>=1", "b>=" + "1" * 5000, "(" * 3000, "b ; " + "(" * 5000, "b\nc"]
)
def test_what_nobody_can_read_is_none(text: str) -> None:
    assert parse_requirement(text) is None


def test_an_unreadable_requirement_is_a_fault_of_its_own() -> None:
    metadata = read("Name: a\nMetadata-Version: 2.1\nRequires-Dist: b foo\nRequires-Dist: c\n")
    assert metadata.requires_dist == ("c",)
    assert "b foo" in metadata.faults[0]


def test_specifiers_of_requires_python_are_repaired_too() -> None:
    assert str(parse_specifier_set(">=3.5.*")) == ">=3.5"
    assert parse_specifier_set("snake>3") is None
    assert str(parse_specifier_set("")) == ""


def pkg_info(version: str, *dynamic: str) -> CoreMetadata | None:
    lines = [f"Metadata-Version: {version}", "Name: a", "Version: 1", "Requires-Dist: b", "Requires-Python: >=3"]
    return parse_pkg_info("\n".join([*lines, *(f"Dynamic: {field}" for field in dynamic)]).encode())


@pytest.mark.parametrize(
    "fields", [("2.1",), ("1.2",), ("3.0",), ("x",), ("2.2", "Requires-Dist"), ("2.5", "requires-python")]
)
def test_pkg_info_that_may_change_is_not_trusted(fields: tuple[str, ...]) -> None:
    """Case 58: 2.1 with Requires-Dist is not trusted; 2.2 with Dynamic: Requires-Dist is not trusted (PEP 643)."""
    assert pkg_info(*fields) is None


@pytest.mark.parametrize("fields", [("2.2",), ("2.4", "License"), ("2.6",)])
def test_static_pkg_info_is_trusted(fields: tuple[str, ...]) -> None:
    metadata = pkg_info(*fields)
    assert metadata is not None
    assert (metadata.requires_dist, metadata.is_lower_bound) == (("b",), False)


def test_dynamic_values_of_2_6_are_a_lower_bound() -> None:
    """Case 58, PEP 808: the values listed for a Dynamic field stay; more may come."""
    metadata = pkg_info("2.6", "Requires-Dist", "Requires-Python")
    assert metadata is not None
    assert (metadata.requires_dist, metadata.requires_python, metadata.is_lower_bound) == (("b",), None, True)


def test_a_static_pyproject_is_read_with_its_extras() -> None:
    metadata = parse_pyproject(
        b"""
        [project]
        name = "a"
        dynamic = ["version"]
        requires-python = ">=3.9"
        dependencies = ["b>=1.*", "c @ https://files.example/c.whl"]
        [project.optional-dependencies]
        x = ["d ; python_version < '4' or os_name == 'nt'", "e @ https://files.example/e.whl"]
        """
    )
    assert metadata is not None
    assert (metadata.name, metadata.version, metadata.requires_python) == ("a", None, ">=3.9")
    assert metadata.requires_dist[:2] == ("b>=1", "c @ https://files.example/c.whl")
    assert Requirement(metadata.requires_dist[2]) == Requirement(
        'd ; (python_version < "4" or os_name == "nt") and extra == "x"'
    )
    assert Requirement(metadata.requires_dist[3]).url == "https://files.example/e.whl"
    assert metadata.provides_extra == ("x",)
    assert len(metadata.faults) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[project]",
        "[project]\nname = 'a'\ndynamic = ['dependencies']",
        "[project]\nname = 'a'\ndynamic = ['optional-dependencies']",
        "[project]\nname = 'a'\ndependencies = 'b'",
        "[project]\nname = 'a'\n[tool.poetry.dependencies]\nb = '^1'",
        "[project\n",
        "[project]\nname = 'a'\n[project.optional-dependencies]\nx = 1",
        "a = " + "[" * 5000,
    ],
)
def test_a_pyproject_that_leaves_something_open_says_nothing(text: str) -> None:
    assert parse_pyproject(text.encode()) is None


def test_sections_of_requires_txt_become_markers() -> None:
    body = b"b>=1\n\n[:python_version<'3']\nc\n\n[x]\nd @ https://files.example/d.whl\n# no\n"
    body += b"[y:os_name=='nt']\ne; extra=='z'\n"
    assert parse_requires_txt(body) == (
        "b>=1",
        "c ; (python_version<'3')",
        'd @ https://files.example/d.whl ; extra == "x"',
        "e ; (extra=='z') and (os_name=='nt') and extra == \"y\"",
    )
    assert all(parse_requirement(text) for text in parse_requires_txt(body))
    assert requires_txt_extras(body) == ("x", "y")


@pytest.mark.parametrize("body", [None, b"", b"[build-system]\n", b"[build-system]\nrequires = 1\n", b"[[["])
def test_the_default_build_requirements(body: bytes | None) -> None:
    """PEP 518: without a build-system table, setuptools and wheel."""
    assert build_requires(body) == ("setuptools", "wheel")


def test_build_requirements_as_stated() -> None:
    assert build_requires(b"[build-system]\nrequires = ['hatchling>=1']\n") == ("hatchling>=1",)
    assert build_requires(b"[build-system]\nrequires = []\n") == ()
