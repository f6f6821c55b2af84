"""The contract of Tree, for a tree that is the store's own folder and for one that links into the store."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import CorruptBlob, StoreFault
from pypim.store import atomic
from pypim.store.tree import LocalTree
from tests.store import values

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.core.model import Holding
    from pypim.ports import Tree

WHEEL = values.holding(b"a wheel", metadata=b"Name: flask")
SDIST = values.holding(b"an sdist", "flask-3.0.0.tar.gz")
CONTENTS = {WHEEL.path: b"a wheel", f"{WHEEL.path}.metadata": b"Name: flask", SDIST.path: b"an sdist"}
PAGE, LIST = "simple/flask/index.html", "simple/index.html"


class Site:
    """A tree, the folder it is in, and the store that it shows."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.store = store
        self.tree: Tree = LocalTree(folder, store, folder / ".pypim" / "staging")
        for path, content in CONTENTS.items():
            (store / path).parent.mkdir(parents=True, exist_ok=True)
            (store / path).write_bytes(content)

    def visible(self) -> dict[str, bytes]:
        """Every file that a web server would show."""
        found = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and not name.startswith("."):
                found[name] = path.read_bytes()
        return found


@pytest.fixture(params=["own", "linked"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    store = tmp_path / "store"
    return Site(store if request.param == "own" else tmp_path / "public", store)


def place(site: Site, *holdings: Holding) -> None:
    site.tree.place(iter(holdings))


def test_it_says_where_it_is(site: Site) -> None:
    assert site.tree.where == str(site.folder)


# --- files ----------------------------------------------------------------------------------------------------------
def test_placed_files_stand_under_their_paths_with_their_metadata(site: Site) -> None:
    place(site, WHEEL, SDIST)
    assert site.visible() == CONTENTS
    assert site.tree.lacking([WHEEL, SDIST]) == []


def test_placing_again_is_not_an_error_and_changes_nothing(site: Site) -> None:
    place(site, WHEEL, SDIST)
    before = (site.folder / WHEEL.path).stat()
    place(site, SDIST, WHEEL, WHEEL)
    place(site)
    after = (site.folder / WHEEL.path).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert site.visible() == CONTENTS


def test_a_file_takes_no_room_twice_where_links_work(site: Site) -> None:
    place(site, WHEEL)
    assert (site.folder / WHEEL.path).samefile(site.store / WHEEL.path)


def test_what_is_damaged_or_gone_lacks_and_is_placed_anew(tmp_path: Path) -> None:
    site = Site(tmp_path / "public", tmp_path / "store")
    place(site, WHEEL, SDIST)
    (site.folder / WHEEL.path).unlink()
    (site.folder / WHEEL.path).write_bytes(b"short")
    (site.folder / SDIST.path).unlink()
    assert site.tree.lacking([WHEEL, SDIST]) == [WHEEL, SDIST]
    place(site, WHEEL, SDIST)
    assert site.visible() == CONTENTS
    (site.folder / f"{WHEEL.path}.metadata").unlink()
    assert site.tree.lacking([WHEEL, SDIST]) == [WHEEL]


def test_replacing_heeds_no_size(tmp_path: Path) -> None:
    site = Site(tmp_path / "public", tmp_path / "store")
    place(site, SDIST)
    (site.folder / SDIST.path).unlink()
    (site.folder / SDIST.path).write_bytes(b"AN SDIST")
    place(site, SDIST)
    assert site.tree.read(SDIST.path) == b"AN SDIST"
    site.tree.place([SDIST], replaces=True)
    assert site.tree.read(SDIST.path) == b"an sdist"


def test_bytes_of_the_trees_own_are_told_apart_from_links(tmp_path: Path) -> None:
    """Who verifies the store has read what is linked; a copy can be damaged on its own."""
    site = Site(tmp_path / "public", tmp_path / "store")
    place(site, WHEEL, SDIST)
    assert site.tree.copy_of(WHEEL) is site.tree.copy_of(SDIST) is None
    for path in (f"{WHEEL.path}.metadata", SDIST.path):
        (site.folder / path).unlink()
        (site.folder / path).write_bytes(CONTENTS[path])
    assert site.tree.copy_of(WHEEL) == site.folder / WHEEL.path
    assert site.tree.copy_of(SDIST) == site.folder / SDIST.path
    site.tree.place([WHEEL, SDIST], replaces=True)
    assert site.tree.copy_of(WHEEL) is site.tree.copy_of(SDIST) is None


def test_the_stores_own_folder_has_no_copies(tmp_path: Path) -> None:
    assert Site(tmp_path / "store", tmp_path / "store").tree.copy_of(WHEEL) is None


@pytest.mark.parametrize("replaces", [False, True])
def test_a_stored_file_that_is_missing_is_named_with_what_makes_it_good(tmp_path: Path, *, replaces: bool) -> None:
    site = Site(tmp_path / "public", tmp_path / "store")
    (site.store / SDIST.path).unlink()
    with pytest.raises(CorruptBlob) as caught:
        site.tree.place([SDIST], replaces=replaces)
    assert str(site.store / SDIST.path) in caught.value.message
    assert "missing" in caught.value.message
    assert "pypim verify --repair" in caught.value.hint


def test_displacing_leaves_the_bytes_of_the_store(site: Site) -> None:
    place(site, WHEEL, SDIST)
    site.tree.write({PAGE: b"page"})
    site.tree.displace([WHEEL, SDIST])
    site.tree.displace([WHEEL])
    assert all((site.store / path).read_bytes() == content for path, content in CONTENTS.items())
    if site.folder != site.store:
        assert site.visible() == {PAGE: b"page"}
        assert not (site.folder / "packages").exists()


# --- pages ----------------------------------------------------------------------------------------------------------
def test_pages_are_read_as_they_were_written(site: Site) -> None:
    assert site.tree.read(PAGE) is None
    site.tree.write({PAGE: b"one", LIST: b"\x00\xff"})
    site.tree.write({})
    assert (site.tree.read(PAGE), site.tree.read(LIST)) == (b"one", b"\x00\xff")
    site.tree.write({PAGE: b"two", LIST: b""})
    assert (site.tree.read(PAGE), site.tree.read(LIST)) == (b"two", b"")
    assert site.tree.read("simple/flask") is None, "a folder is nothing that stands there"


def test_nothing_but_the_pages_is_visible(site: Site) -> None:
    before = site.visible()
    site.tree.write({PAGE: b"one", LIST: b"list"})
    assert site.visible() == before | {PAGE: b"one", LIST: b"list"}


def test_a_page_is_old_or_new_and_whole_wherever_writing_stops(site: Site) -> None:
    site.tree.write({PAGE: b"old" * 1000, LIST: b"old list"})
    before = site.visible()
    for stop in range(1, 100):
        count = 0

        def observer(_operation: str, _path: str) -> None:
            nonlocal count
            count += 1
            if count == stop:  # noqa: B023 - the function is used in this turn only
                raise OSError(errno.ENOSPC, "no space left")

        try:
            with atomic.observed(observer):
                site.tree.write({PAGE: b"new" * 1000, LIST: b"new list"})
        except StoreFault:
            now = site.visible()
            assert now.keys() == before.keys(), "nothing is left behind"
            assert now[PAGE] in {b"old" * 1000, b"new" * 1000}
            assert now[LIST] in {b"old list", b"new list"}
            assert not (now[LIST] == b"new list" and now[PAGE] != b"new" * 1000), "in the order that was given"
            site.tree.write({PAGE: b"old" * 1000, LIST: b"old list"})
        else:
            assert stop > 5
            break
    assert site.tree.read(PAGE) == b"new" * 1000


# --- removal --------------------------------------------------------------------------------------------------------
def test_removing_takes_the_folders_that_become_empty(site: Site) -> None:
    site.tree.write({PAGE: b"one", "simple/click/index.html": b"other", LIST: b"list"})
    site.tree.remove([PAGE, PAGE, "simple/never/index.html"])
    assert site.tree.read(PAGE) is None
    assert not (site.folder / "simple" / "flask").exists()
    assert site.tree.read("simple/click/index.html") == b"other"
    site.tree.remove(["simple/click/index.html", LIST])
    assert not (site.folder / "simple").exists()
    assert site.folder.is_dir()


def test_what_was_removed_can_be_written_and_placed_again(site: Site) -> None:
    place(site, SDIST)
    site.tree.write({PAGE: b"one"})
    site.tree.remove([PAGE])
    site.tree.displace([SDIST])
    site.tree.write({PAGE: b"two"})
    place(site, SDIST)
    assert site.tree.read(PAGE) == b"two"
    assert site.tree.read(SDIST.path) == b"an sdist"


def test_a_folder_that_cannot_be_made_is_a_fault_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "public").write_bytes(b"a file")
    tree = LocalTree(tmp_path / "public", tmp_path / "store", tmp_path / "public" / ".staging")
    with pytest.raises(StoreFault, match="public"):
        tree.write({PAGE: b"one"})
