"""Which bytes the hashes behind a requirement allow, and where they must be looked at for it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from pypim.core.allowed import admits, check_allowed, is_settled
from pypim.core.errors import HashNotAllowed
from tests.core.offers import Asked, Offer, Order, drive, first, last, small, wheel
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = b"an sdist"


def hash_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def digest_of(content: bytes) -> Callable[[str], str]:
    return lambda algorithm: hashlib.new(algorithm, content).hexdigest()


@pytest.mark.parametrize(
    "allowed",
    [
        (),
        (hash_of(CONTENT),),
        (hash_of(b"other"), hash_of(CONTENT)),
        (hash_of(b"other"), hash_of(CONTENT, "sha384")),
        (hash_of(CONTENT, "sha512"), hash_of(b"other")),
    ],
)
def test_bytes_that_have_any_of_the_hashes_are_allowed(allowed: tuple[str, ...]) -> None:
    file = values.dist_file("a-1.0.tar.gz", allowed_hashes=allowed)
    check_allowed(file, digest_of(CONTENT))
    assert admits(file, values.holding(CONTENT, "a-1.0.tar.gz"))


@pytest.mark.parametrize("allowed", [(hash_of(b"x"),), (hash_of(b"x"), hash_of(b"y", "sha512"))])
def test_bytes_that_have_none_of_them_are_refused(allowed: tuple[str, ...]) -> None:
    file = values.dist_file("a-1.0.tar.gz", allowed_hashes=allowed)
    with pytest.raises(HashNotAllowed) as caught:
        check_allowed(file, digest_of(CONTENT))
    for text in (file.filename, hash_of(CONTENT), *allowed):
        assert text in caught.value.message


def test_held_bytes_are_refused_by_what_is_known_of_them() -> None:
    """Of a hash of another algorithm nothing is known: unknown is not false."""
    held = values.holding(CONTENT, "a-1.0.tar.gz")
    assert not admits(values.dist_file(allowed_hashes=(hash_of(b"x"),)), held)
    assert admits(values.dist_file(allowed_hashes=(hash_of(b"x"), hash_of(b"x", "sha512"))), held)


def test_what_the_page_lists_settles_it() -> None:
    digest = hashlib.sha512(CONTENT).hexdigest()
    assert is_settled(values.dist_file(sha256="1" * 64), [f"sha256:{'1' * 64}", "sha512:33"])
    assert is_settled(values.dist_file(other_hash=("sha512", digest)), [f"sha512:{digest}"])
    assert not is_settled(values.dist_file(sha256="1" * 64), [f"sha512:{digest}"])
    assert not is_settled(values.dist_file(), [f"sha256:{'1' * 64}"])


# --- what a selection says ------------------------------------------------------------------------------------------
A, B = hash_of(b"a"), hash_of(b"b")
SILENT = Offer(has_sha256=False)


@pytest.mark.parametrize("order", [first, last], ids=["first", "last"])
@pytest.mark.parametrize(
    ("roots", "allowed"),
    [
        ([Asked(requirement="a==1.0", hashes=(A,))], (A,)),
        ([Asked(requirement="a==1.0", hashes=(B, A))], tuple(sorted((A, B)))),
        ([Asked(requirement="a==1.0", hashes=(A,)), Asked(requirement="a", hashes=(B,))], tuple(sorted((A, B)))),
        ([Asked(requirement="a==1.0", hashes=(A,)), "a>=1"], ()),
        ([Asked(requirement="a==1.0", hashes=(A,)), "wants-a"], (A,)),
        (["wants-a"], ()),
    ],
)
def test_the_roots_of_a_project_limit_its_files(
    roots: list[str | Asked], allowed: tuple[str, ...], order: Order
) -> None:
    """A root without hashes lets any file in; a requirement of another release does not, as it cannot for pip."""
    world = small({"a": {"1.0": SILENT}, "wants-a": {"1.0": ["a"]}}, *roots)
    selection, _ = drive(world, order)
    (release,) = (release for release in selection.releases if release.project == "a")
    assert [file.allowed_hashes for file in release.files] == [allowed]


def test_a_file_whose_hash_is_listed_needs_no_limit() -> None:
    world = small({"a": {"1.0": Offer()}}, Asked(requirement="a==1.0", hashes=(wheel("a", "1.0"), A)))
    selection, _ = drive(world)
    assert [file.allowed_hashes for release in selection.releases for file in release.files] == [()]


def test_without_a_hash_another_size_shows_that_it_is_another_file() -> None:
    held = values.holding(CONTENT, "a-1.0.tar.gz")
    for size, is_same in ((len(CONTENT), True), (None, True), (len(CONTENT) + 1, False)):
        assert admits(values.dist_file("a-1.0.tar.gz", sha256=None, size=size), held) is is_same
    hashed = values.dist_file("a-1.0.tar.gz", sha256=held.blob.sha256, size=len(CONTENT) + 1)
    assert admits(hashed, held), "a hash tells more than a size"
