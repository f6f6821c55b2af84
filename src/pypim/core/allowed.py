"""What bytes may stand for a file: the hashes behind a requirement ("sha256:<hex>"), and what a page lists of it.

Source: pip's documentation, "Secure installs": a file is allowed when it has any one of the hashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import HashNotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pypim.core.model import DistFile, Holding


def may_have(file: DistFile, hashes: Iterable[str]) -> bool:
    """Whether a file may have one of these hashes: the page says so, or does not tell one of their algorithms."""
    return _may_match(_listed(file), hashes)


def is_settled(file: DistFile, hashes: Iterable[str]) -> bool:
    """Whether the page itself lists one of these hashes, which the transfer then holds the bytes to."""
    listed = _listed(file)
    return any(listed.get(algorithm) == digest for algorithm, digest in map(_parted, hashes))


def admits(file: DistFile, holding: Holding) -> bool:
    """Whether bytes that we hold may be kept for a file; of a hash of another algorithm nothing is known here.

    Where no sha256 is listed, another size than that of our bytes shows that the file was made anew.
    """
    if file.sha256 is None and file.size not in {None, holding.blob.size}:
        return False
    return not file.allowed_hashes or _may_match({"sha256": holding.blob.sha256}, file.allowed_hashes)


def check_allowed(file: DistFile, digest: Callable[[str], str]) -> None:
    """Compare bytes with the hashes that are allowed for a file; `digest` gives that of an algorithm, in hex.

    Raises HashNotAllowed.
    """
    if file.allowed_hashes and not any(digest(one) == expected for one, expected in map(_parted, file.allowed_hashes)):
        raise HashNotAllowed(file.filename, f"sha256:{digest('sha256')}", file.allowed_hashes)


def _may_match(known: Mapping[str, str], hashes: Iterable[str]) -> bool:
    return any(known.get(algorithm, digest) == digest for algorithm, digest in map(_parted, hashes))


def _listed(file: DistFile) -> dict[str, str]:
    listed = dict((file.other_hash,) if file.other_hash else ())
    if file.sha256 is not None:
        listed["sha256"] = file.sha256
    return listed


def _parted(text: str) -> tuple[str, str]:
    algorithm, _, digest = text.partition(":")
    return algorithm, digest
