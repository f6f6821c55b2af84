"""What is taken for pip's and uv's reading is what was seen of them; `tests/clients/test_readings.py` looks again."""

from __future__ import annotations

import pytest
from packaging.version import Version

from pypim.core.candidates import Chooser
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.lenient import parse_requirement
from pypim.core.markers import differs_for_uv
from pypim.core.metadata import parse_metadata
from pypim.core.model import CoreMetadata, DistFile, MetadataSource
from pypim.core.names import normalize_extra, parse_name, parse_safe_filename
from pypim.core.policy import Filters, Policy
from pypim.core.readings import Reading, allows_python, is_read_apart, refuses, takes_bound, takes_name
from pypim.core.target import Environment, TargetSpec, environments, wheel_rank
from tests.core.offers import NOW
from tests.core.readings import READINGS, Bound, Described, Marked, Named, Required

PROJECT = parse_name("lib-x")


def machine(python: str) -> Environment:
    return environments({"t": TargetSpec(python=(python,), platforms=("linux",))})[0]


def allowed(text: str, reading: Reading | None) -> str:
    return "".join("y" if allows_python(machine(python), text, reading) else "-" for python in READINGS.pythons)


@pytest.mark.parametrize("bound", READINGS.requires_python, ids=lambda bound: bound.text)
def test_a_requires_python(bound: Bound) -> None:
    """pip ignores what is not valid; uv repairs it or drops the file, and minds only from which Python on."""
    assert allowed(bound.text, Reading.UV) == bound.uv
    assert allowed(bound.text, Reading.PIP) == allowed(bound.text, None) == bound.pip
    both = "".join("y" if mine == theirs == "y" else "-" for mine, theirs in zip(bound.uv, bound.pip, strict=True))
    assert allowed(bound.text, Reading.BOTH) == both
    filename = parse_safe_filename("lib_x-1.0-py3-none-any.whl")
    listed = DistFile(filename=filename, url="https://files.example/x", requires_python=bound.text)
    assert is_read_apart(listed, parse_filename(filename, PROJECT)) or bound.uv == bound.pip
    assert takes_bound(bound.text, Reading.UV) or "y" not in bound.uv


def test_a_requires_python_where_the_patch_release_is_not_known() -> None:
    open_patch, open_python = machine("3.12"), Environment(name="any", target="any")
    assert allows_python(open_patch, ">=3.12.4", Reading.BOTH)
    assert not allows_python(open_patch, ">=3.13", Reading.UV)
    assert allows_python(open_python, ">=3.13", Reading.UV)
    assert not allows_python(open_python, "three", Reading.UV)


@pytest.mark.parametrize("required", READINGS.requirements, ids=lambda required: required.text)
def test_a_requirement(required: Required) -> None:
    """Case 53: uv repairs some of what is not valid, not always where a name ends in a digit; pip none of it."""
    for name, is_for_uv in (("lib", required.uv), ("lib1", required.uv_digit)):
        found = parse_requirement(required.text.replace("NAME", name))
        assert (found is not None and not found.is_beyond_uv) is is_for_uv
        assert (found is not None and not found.is_repaired) is required.pip
        metadata = described(f"Requires-Dist: {required.text.replace('NAME', name)}\n")
        assert is_taken(metadata, Reading.UV) is is_for_uv
        assert is_taken(metadata, Reading.PIP) is required.pip
        assert is_taken(metadata, Reading.BOTH) is (is_for_uv and required.pip)


@pytest.mark.parametrize("marked", READINGS.markers, ids=lambda marked: marked.text)
def test_a_marker(marked: Marked) -> None:
    """uv leaves out what makes no sense to it; what either wants is held where nobody is named."""
    required = parse_requirement(f"dep; {marked.text}")
    assert required is not None
    assert not required.is_beyond_uv
    found = {}
    for reading in (Reading.UV, Reading.PIP, Reading.BOTH, None):
        chooser = Chooser([machine("3.12.0")], Policy.compile(Filters(), ""), NOW, reading)
        masks = [
            chooser.marker_masks(required.marker, extras) for extras in (frozenset(), frozenset({normalize_extra("x")}))
        ]
        found[reading] = any(certain | is_open for certain, is_open in masks)
    assert found[Reading.UV] is marked.uv
    assert found[Reading.PIP] is marked.pip or marked.pip is None
    assert found[Reading.BOTH] is found[None] is (found[Reading.UV] or found[Reading.PIP])
    assert required.marker is None or differs_for_uv(required.marker) or found[Reading.UV] is found[Reading.PIP]


@pytest.mark.parametrize("named", READINGS.names, ids=lambda named: named.name)
def test_a_file_name(named: Named) -> None:
    """uv takes two formats of sdists, pip eleven; an odd name may be for one of them alone."""
    filename = named.name.replace("X", "x")
    parsed = parse_filename(filename, PROJECT)
    is_usable = parsed.kind in {FileKind.WHEEL, FileKind.SDIST} and parsed.version is not None
    if is_usable and parsed.tags is not None:
        is_usable = wheel_rank(machine("3.11"), parsed.tags) is not None
    assert (is_usable and takes_name(filename, parsed, Reading.UV)) is named.uv
    assert (is_usable and takes_name(filename, parsed, Reading.PIP)) is named.pip
    assert takes_name(filename, parsed, None)


@pytest.mark.parametrize("case", READINGS.metadata, ids=lambda case: case.about)
def test_metadata(case: Described) -> None:
    """What an installer passes over a wheel for."""
    metadata = parse_metadata(case.body.replace("NAME", "lib-x").encode(), MetadataSource.WHEEL)
    assert is_taken(metadata, Reading.UV) is case.uv
    if case.pip is not None:
        assert is_taken(metadata, Reading.PIP) is case.pip


@pytest.mark.parametrize(
    ("head", "is_for_uv"),
    [
        ("Name: lib_x\nVersion: 2.0.0", True),
        ("Name: lib-x\nVersion: 2.1", False),
        ("Name: lib-x\nVersion: none", False),
        ("Name: lib-x", False),
        ("Name: other\nVersion: 2.0", False),
        ("Name: other x\nVersion: 2.0", False),
    ],
)
def test_what_uv_reads_of_an_sdist_without_building_it_must_be_of_that_sdist(head: str, is_for_uv: bool) -> None:
    """pip builds it, and so does uv where the standard wants that."""
    metadata = parse_metadata(f"Metadata-Version: 2.2\n{head}\n".encode(), MetadataSource.PKG_INFO)
    parsed = parse_filename("lib_x-2.0.tar.gz", PROJECT)
    assert refuses(metadata, parsed, PROJECT, Reading.UV) is not is_for_uv
    assert not refuses(metadata, parsed, PROJECT, Reading.PIP)
    built = CoreMetadata(name="other", version=None, source=MetadataSource.EGG_INFO, is_lower_bound=True)
    assert not refuses(built, parsed, PROJECT, Reading.UV)


def described(more: str) -> CoreMetadata:
    return parse_metadata(f"Metadata-Version: 2.1\nName: lib-x\nVersion: 2.0\n{more}".encode(), MetadataSource.WHEEL)


def is_taken(metadata: CoreMetadata, reading: Reading) -> bool:
    """Whether an installer takes lib-x 2.0 for its metadata."""
    parsed = parse_filename("lib_x-2.0-py3-none-any.whl", PROJECT)
    assert parsed.version == Version("2.0")
    if metadata.name is None or metadata.name.lower() != PROJECT:
        return False  # what says so has no metadata at all
    is_for_python = allows_python(machine("3.12"), metadata.requires_python, reading)
    return is_for_python and not refuses(metadata, parsed, PROJECT, reading)
