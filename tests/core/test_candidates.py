"""Candidates: releases of a page, newest first, with the environments that can use each file."""

from __future__ import annotations

import random

import msgspec
import pytest

from pypim.core.candidates import Candidates, Release
from pypim.core.model import Page, ProjectStatus
from pypim.core.names import parse_name
from pypim.core.policy import Filters
from pypim.core.target import TargetSpec
from tests.core.offers import Offer, World, digest, pythons, small, wheel

A = parse_name("a")
LINUX, WINDOWS = "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-win_amd64"
BOTH = pythons("3.12", platforms=("linux", "windows"))


def offered(world: World, hashes: frozenset[str] = frozenset()) -> Candidates:
    page = world.page(A)
    assert page is not None
    return world.chooser().candidates(page, hashes)


def only_release(world: World) -> Release:
    (release,) = offered(world).releases
    return release


def kept(world: World, mask: int, *, with_yanked: bool = False) -> list[str]:
    files = world.chooser().kept_files(only_release(world), mask, with_yanked=with_yanked)
    return [file.filename for file in files]


# --- releases -------------------------------------------------------------------------------------------------------
def test_releases_are_newest_first_and_legacy_ones_last() -> None:
    versions = ["1.0", "1!0.1", "2.0rc1", "2.0", "1.0.post1", "1.0+local", "1.0.dev1"]
    files = {wheel("a", version): Offer() for version in versions} | {
        "a-2004d.tar.gz": Offer(),
        "a-zoo.tar.gz": Offer(),
    }
    names = list(files)
    random.Random(3).shuffle(names)
    found = offered(small({"a": {name: files[name] for name in names}}))
    assert [release.text for release in found.releases] == [
        *("1!0.1", "2.0", "2.0rc1", "1.0.post1", "1.0+local", "1.0", "1.0.dev1"),
        *("zoo", "2004d"),
    ]


@pytest.mark.parametrize("names", [["a-1.0.0.tar.gz", "a-1.tar.gz", "a-01.00.zip"], ["a-1.tar.gz", "a-1.0.0.tar.gz"]])
def test_files_of_one_version_are_one_release_under_its_shortest_text(names: list[str]) -> None:
    assert only_release(small({"a": {name: [] for name in names}})).text == "1"


def test_a_file_that_is_none_of_the_project_is_excluded_with_the_reason() -> None:
    found = offered(
        small({"a": {"b-1.0.tar.gz": [], "a-1.0.tar.gz.asc": [], "a-1.0-variants.json": [], "a-1.0.tar.gz": []}})
    )
    assert [release.text for release in found.releases] == ["1.0"]
    assert {exclusion.filename for exclusion in found.exclusions} == {
        "b-1.0.tar.gz",
        "a-1.0.tar.gz.asc",
        "a-1.0-variants.json",
    }
    assert all("not that of a distribution file" in exclusion.reason for exclusion in found.exclusions)


def test_a_filter_is_named_with_the_version_it_takes_away() -> None:
    found = offered(small({"a": {"1.0": [], "2.0": []}}, filters=Filters(exclude=("a>=2",))))
    (exclusion,) = found.exclusions
    assert (exclusion.version, exclusion.reason) == ("2.0", 'filters.exclude: "a>=2"')


def test_a_quarantined_project_withholds_everything_and_tells_why() -> None:
    page = Page(
        name=A, files=(Offer().listed("a-1.0.tar.gz"),), status=ProjectStatus.QUARANTINED, status_reason="malware"
    )
    found = small({}).chooser().candidates(page)
    assert (found.releases, found.exclusions) == ((), ())
    assert found.withheld.endswith("offers no files: malware")


# --- hashes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("listed", "hashes", "is_kept"),
    [
        ({"sha256": "1" * 64}, {f"sha256:{'1' * 64}"}, True),
        ({"sha256": "1" * 64}, {f"sha256:{'2' * 64}", f"sha256:{'1' * 64}"}, True),
        ({"sha256": "1" * 64}, {f"sha256:{'2' * 64}"}, False),
        ({"sha256": "1" * 64}, {"sha512:33"}, True),
        ({"sha256": "1" * 64}, {f"sha256:{'2' * 64}", "sha512:33"}, True),
        ({"other_hash": ("sha512", "33")}, {"sha512:33"}, True),
        ({"other_hash": ("sha512", "44")}, {"sha512:33"}, False),
        ({"other_hash": ("md5", "44")}, {f"sha256:{'2' * 64}"}, True),
        ({}, {f"sha256:{'2' * 64}"}, True),
    ],
)
def test_a_file_is_left_out_only_if_it_cannot_have_an_allowed_hash(
    listed: dict[str, object], hashes: set[str], is_kept: bool
) -> None:
    file = msgspec.structs.replace(Offer(has_sha256=False).listed("a-1.0.tar.gz"), **listed)
    found = small({}).chooser().candidates(Page(name=A, files=(file,)), frozenset(hashes))
    assert bool(found.releases) is is_kept
    assert bool(found.exclusions) is not is_kept


# --- environments ---------------------------------------------------------------------------------------------------
def test_masks_have_a_bit_for_every_environment_that_can_use_a_file() -> None:
    files = {
        wheel("a", "1.0", LINUX): Offer(),
        wheel("a", "1.0", WINDOWS): Offer(),
        "a-1.0.tar.gz": Offer(requires_python=">=3.13"),
    }
    release = only_release(small({"a": files}, targets=BOTH))
    assert [candidate.mask for candidate in release.candidates] == [0b01, 0b10, 0]
    assert release.mask(with_yanked=False) == 0b11


def test_narrowing_changes_what_is_usable_and_not_what_is_listed() -> None:
    world = small({"a": {"1.0": [], "a-1.0.tar.gz": [], "2.0": []}}, targets=BOTH)
    found = offered(world)
    wheel_of_one = found.releases[1].candidates[0].file
    narrowed = found.narrowed(wheel_of_one, 0b10).narrowed(wheel_of_one, 0b11)
    assert narrowed.releases[0] is found.releases[0]
    assert [(c.listed, c.mask) for c in narrowed.releases[1].candidates] == [(0b11, 0b10), (0b11, 0b11)]
    assert narrowed.releases == found.releases, "it is the same release"


def test_installers_take_every_usable_wheel_and_sdists_where_there_is_none() -> None:
    files = {
        wheel("a", "1.0", WINDOWS): Offer(),
        wheel("a", "1.0", "cp312-abi3-win_amd64"): Offer(),
        "a-1.0.tar.gz": Offer(),
    }
    release = only_release(small({"a": files}, targets=BOTH))
    found = {c.file.filename: bits for c, bits in release.installable(0b11, with_yanked=False)}
    assert found == {
        wheel("a", "1.0", WINDOWS): 0b10,
        wheel("a", "1.0", "cp312-abi3-win_amd64"): 0b10,
        "a-1.0.tar.gz": 0b01,
    }
    assert [c.file.filename for c, _ in release.installable(0b01, with_yanked=False)] == ["a-1.0.tar.gz"]
    assert "a-1.0.tar.gz" not in [c.file.filename for c, _ in release.installable(0b10, with_yanked=False)]


def test_yanked_files_are_installable_for_a_pin_only() -> None:
    release = only_release(small({"a": {wheel("a", "1.0"): Offer(yanked=True), "a-1.0.tar.gz": Offer()}}, targets=BOTH))
    assert [c.file.filename for c, _ in release.installable(0b11, with_yanked=False)] == ["a-1.0.tar.gz"]
    assert [c.file.filename for c, _ in release.installable(0b11, with_yanked=True)] == [wheel("a", "1.0")]


# --- what is kept ---------------------------------------------------------------------------------------------------
FILES = {wheel("a", "1.0", WINDOWS): Offer(), "a-1.0.tar.gz": Offer(), "a-1.0-py2.7.egg": Offer()}


@pytest.mark.parametrize(
    ("formats", "mask", "expected"),
    [
        (None, 0b10, [wheel("a", "1.0", WINDOWS)]),
        (None, 0b01, ["a-1.0.tar.gz"]),
        (None, 0b11, [wheel("a", "1.0", WINDOWS), "a-1.0.tar.gz"]),
        (("wheel", "sdist"), 0b10, [wheel("a", "1.0", WINDOWS), "a-1.0.tar.gz"]),
        (("wheel", "egg"), 0b10, [wheel("a", "1.0", WINDOWS), "a-1.0-py2.7.egg"]),
        (("egg",), 0b11, ["a-1.0-py2.7.egg"]),
    ],
)
def test_the_files_that_environments_need(formats: tuple[str, ...] | None, mask: int, expected: list[str]) -> None:
    assert kept(small({"a": FILES}, targets=BOTH, filters=Filters(formats=formats)), mask) == expected


def test_an_environment_that_stands_for_many_machines_keeps_the_sdist() -> None:
    files = {"1.0": Offer(), "a-1.0.tar.gz": Offer(requires_python=">=3.8")}
    assert kept(small({"a": files}), 1) == [wheel("a", "1.0"), "a-1.0.tar.gz"]
    open_platform = {"t": TargetSpec(python=("3.12",))}
    assert kept(small({"a": files}, targets=open_platform), 1) == [wheel("a", "1.0"), "a-1.0.tar.gz"]
    too_new = {"1.0": Offer(), "a-1.0.tar.gz": Offer(requires_python=">=3.13")}
    assert kept(small({"a": too_new}, targets=open_platform), 1) == [wheel("a", "1.0")]


def test_sdists_that_are_asked_for_are_kept_by_what_the_page_says_of_them() -> None:
    """Their metadata is read only if some target must build them, and that must change nothing for the others."""
    world = small({"a": {"1.0": [], "a-1.0.tar.gz": []}}, targets=BOTH, filters=Filters(formats=("wheel", "sdist")))
    found = offered(world)
    narrowed = found.narrowed(found.releases[0].candidates[1].file, 0).releases[0]
    both = [wheel("a", "1.0"), "a-1.0.tar.gz"]
    assert [file.filename for file in world.chooser().kept_files(narrowed, 0b01, with_yanked=False)] == both


def test_yanked_files_are_kept_for_a_pin() -> None:
    world = small(
        {"a": {wheel("a", "1.0"): Offer(yanked=True), "a-1.0-py2.7.egg": Offer(yanked="bad")}},
        filters=Filters(formats=("wheel", "egg")),
    )
    assert kept(world, 1) == []
    assert kept(world, 1, with_yanked=True) == [wheel("a", "1.0"), "a-1.0-py2.7.egg"]


# --- names and equality ---------------------------------------------------------------------------------------------
def test_the_environments_of_a_mask_are_named_in_order() -> None:
    chooser = small({}, targets=pythons("3.12", "3.11")).chooser()
    assert chooser.names(0b11) == ("t cpython 3.11 linux", "t cpython 3.12 linux")
    assert chooser.names(0b01) == ("t cpython 3.12 linux",)
    assert chooser.names(0) == ()


def test_a_release_is_known_by_project_text_and_the_hashes_it_was_limited_to() -> None:
    world = small({"a": {"1.0": [], "2.0": []}})
    newest, older = offered(world).releases
    assert newest == offered(world).releases[0]
    assert len({newest, older, *offered(world).releases}) == 2
    assert newest != offered(world, frozenset((f"sha256:{digest(wheel('a', '2.0'))}",))).releases[0]
    assert newest != "a 2.0"
    assert newest.key == ("a", "2.0")
