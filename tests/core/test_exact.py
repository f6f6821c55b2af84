"""The files that a lock names, among those of a page: each is held, named as gone, or taken away by a filter."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.candidates import Chooser
from pypim.core.exact import FoundFiles, find_locked
from pypim.core.locked import LockedFile, LockedRelease
from pypim.core.model import DistFile, Page, ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.policy import Filters, Policy
from pypim.core.target import TargetSpec, environments
from tests.core.offers import NOW

A = parse_name("a")
NAMES = [
    "a-1.0.tar.gz",
    "a-1.0-py3-none-any.whl",
    "a-1.0-cp27-none-win32.whl",
    "a-1.0.0.zip",
    "a-2.0.tar.gz",
    "a-1.0.egg",
]


def listed(filename: str, sha256: str | None = "0" * 64, other_hash: tuple[str, str] | None = None) -> DistFile:
    name = parse_safe_filename(filename)
    return DistFile(filename=name, url=f"https://files.example/{sha256}/{name}", sha256=sha256, other_hash=other_hash)


def named(filename: str | None, *hashes: str) -> LockedFile:
    return LockedFile(None if filename is None else parse_safe_filename(filename), frozenset(hashes))


def find(page: Page, *files: LockedFile, version: str = "1.0", exclude: tuple[str, ...] = ()) -> FoundFiles:
    targets = environments({"t": TargetSpec(python=("3.12",), platforms=("linux",))})
    chooser = Chooser(targets, Policy.compile(Filters(exclude=exclude), "filters"), NOW)
    return find_locked(page, chooser.candidates(page), LockedRelease(A, version, files))


def names_of(found: FoundFiles) -> list[str]:
    return [held.file.filename for held in found.held]


def test_a_name_that_is_listed_twice_means_the_file_with_the_hash() -> None:
    page = Page(name=A, files=(listed("a-1.0.tar.gz", "1" * 64), listed("a-1.0.tar.gz", "2" * 64)))
    found = find(page, named("a-1.0.tar.gz", f"sha256:{'2' * 64}"))
    assert [held.file.sha256 for held in found.held] == ["2" * 64]
    assert not found.lacks
    assert len(find(page, named("a-1.0.tar.gz")).held) == 2


def test_any_hash_that_the_page_tells_settles_it() -> None:
    """A page may know another algorithm than the lock; then the bytes are compared."""
    page = Page(name=A, files=(listed("a-1.0.tar.gz", None, ("sha512", "5" * 128)),))
    assert names_of(find(page, named("a-1.0.tar.gz", f"sha512:{'5' * 128}", f"sha256:{'1' * 64}"))) == ["a-1.0.tar.gz"]
    (held,) = find(page, named("a-1.0.tar.gz", f"sha256:{'1' * 64}")).held
    assert held.hashes == {f"sha256:{'1' * 64}"}
    (lack,) = find(page, named("a-1.0.tar.gz", f"sha512:{'6' * 128}")).lacks
    assert "another hash than the lock for a-1.0.tar.gz" in lack[1]


def test_hashes_alone_are_of_the_locked_release_only() -> None:
    """1.0 and 1.0.0 are one version (PEP 440)."""
    page = Page(name=A, files=(listed("a-1.0.0.zip", "1" * 64), listed("a-2.0.tar.gz", "2" * 64)))
    found = find(page, named(None, f"sha256:{'1' * 64}"), named(None, f"sha256:{'2' * 64}"))
    assert names_of(found) == ["a-1.0.0.zip"]
    assert [f"a file with the hash sha256:{'2' * 64}" in sentence for _, sentence in found.lacks] == [True]


def test_a_project_that_is_quarantined_offers_nothing() -> None:
    """PEP 792."""
    page = Page(name=A, files=(listed("a-1.0.tar.gz"),), status=ProjectStatus.QUARANTINED)
    found = find(page, named("a-1.0.tar.gz"))
    assert not found.held
    assert "quarantined" in found.lacks[0][1]


_HASHES = st.sampled_from(["1" * 64, "2" * 64])
_PAGES = st.lists(
    st.builds(listed, st.sampled_from(NAMES), st.none() | _HASHES), max_size=6, unique_by=lambda f: f.identity
)
_LOCKS = st.lists(
    st.builds(
        lambda name, hashes: named(name, *(f"sha256:{one}" for one in hashes)), st.sampled_from(NAMES), st.sets(_HASHES)
    ),
    max_size=5,
)


@settings(max_examples=100, deadline=None)
@given(_PAGES, _LOCKS, st.booleans())
def test_every_file_of_a_lock_is_held_or_spoken_of(
    files: list[DistFile], lock: list[LockedFile], excludes: bool
) -> None:
    """The files that a lock names are held exactly: nothing else is, and nothing of it is passed over in silence."""
    page = Page(name=A, files=tuple(files))
    found = find(page, *lock, exclude=("a<2",) if excludes else ())
    names = {file.filename for file in lock}
    said = " ".join(sentence for _, sentence in found.lacks)
    for held in found.held:
        assert held.file in files
        if lock:
            assert held.file.filename in names
    for wanted in lock:
        assert wanted.filename is not None
        is_there = any(
            file.filename == wanted.filename
            and (not wanted.hashes or file.sha256 is None or f"sha256:{file.sha256}" in wanted.hashes)
            for file in files
        )
        is_filtered = (excludes and not wanted.filename.startswith("a-2")) or wanted.filename.endswith(".egg")
        if is_there and not is_filtered:
            assert wanted.filename in names_of(found)
        if not is_there:
            assert wanted.filename in said or "has no release 1.0" in said
