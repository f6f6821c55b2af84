"""The files that a lock names, looked for on their project's page: those that are held, and those that are gone.

A lock is taken literally: its files are held also where they are yanked, a pre-release, or of no use for any target.
Only filters take some away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.allowed import is_settled, may_have
from pypim.core.filenames import parse_filename, parse_version
from pypim.core.selection import ProblemKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypim.core.candidates import Candidates, Release
    from pypim.core.locked import LockedFile, LockedRelease
    from pypim.core.model import DistFile, Page


class HeldFile(msgspec.Struct, frozen=True):
    """A file that is held for a lock."""

    release: Release
    file: DistFile
    hashes: frozenset[str]
    """"algorithm:hex" of the only bytes that the lock allows; empty for any."""


class FoundFiles(msgspec.Struct, frozen=True):
    """What there is of a locked release, and a kind and a sentence for everything that there is not."""

    held: tuple[HeldFile, ...]
    lacks: tuple[tuple[ProblemKind, str], ...]


def find_locked(page: Page, candidates: Candidates, locked: LockedRelease) -> FoundFiles:
    """Look for the files of a locked release; `candidates` are those of the page."""
    if candidates.withheld:
        kind = ProblemKind.EXCLUDED if candidates.is_excluded else ProblemKind.UNSATISFIED
        return FoundFiles((), ((kind, candidates.withheld),))
    mine = [file for file in page.files if _is_of(file, page, locked.version)]
    named: dict[str, list[DistFile]] = {}
    for file in page.files:
        named.setdefault(file.filename, []).append(file)
    listed: dict[str, tuple[DistFile, frozenset[str]]] = {}
    gone: list[str] = []
    changed: list[str] = []
    for wanted in locked.files:
        matching = _matching(wanted, mine if wanted.filename is None else named.get(wanted.filename, ()))
        if not matching:
            lacking = changed if wanted.filename in named else gone
            lacking.append(wanted.filename or "a file with the hash " + " or ".join(sorted(wanted.hashes)))
        for file in matching:
            hashes = listed[file.identity][1] if file.identity in listed else frozenset()
            listed[file.identity] = (file, hashes | wanted.hashes)
    if not locked.files:
        listed = {file.identity: (file, frozenset()) for file in mine}
    if not listed and not mine and not changed:
        return FoundFiles((), ((ProblemKind.MISSING, f"the upstream has no release {locked.version} (any more)"),))
    return _judged(candidates, listed.values(), _sentences(gone, changed))


def _is_of(file: DistFile, page: Page, version: str) -> bool:
    parsed = parse_filename(file.filename, page.name)
    return parsed.version_text == version or (parsed.version is not None and parsed.version == parse_version(version))


def _matching(wanted: LockedFile, files: Iterable[DistFile]) -> list[DistFile]:
    """Those with a hash of the lock; where the page tells none to compare with, the bytes will be compared."""
    if not wanted.hashes:
        return list(files)
    settled = [file for file in files if is_settled(file, wanted.hashes)]
    return settled or [file for file in files if may_have(file, wanted.hashes)]


def _sentences(gone: list[str], changed: list[str]) -> list[tuple[ProblemKind, str]]:
    """Every file that is not there is named."""
    lacks = []
    if gone:
        sentence = f"the upstream does not have (any more) what the lock names: {', '.join(gone)}"
        lacks.append((ProblemKind.MISSING, sentence))
    if changed:
        lacks.append((ProblemKind.MISSING, f"the upstream has another hash than the lock for {', '.join(changed)}"))
    return lacks


def _judged(
    candidates: Candidates,
    listed: Iterable[tuple[DistFile, frozenset[str]]],
    lacks: list[tuple[ProblemKind, str]],
) -> FoundFiles:
    """Without what filters take away; it is told only where nothing is left, for they were set on purpose."""
    releases = {c.identity: release for release in candidates.releases for c in release.candidates}
    reasons = {exclusion.filename: exclusion.reason for exclusion in candidates.exclusions}
    held: list[HeldFile] = []
    denied: dict[str, None] = {}
    for file, hashes in listed:
        if file.identity in releases:
            held.append(HeldFile(releases[file.identity], file, hashes))
        else:
            denied[reasons[file.filename]] = None
    if denied and not held:
        taken = f"every file that the lock names is taken away: {'; '.join(sorted(denied))}"
        lacks = [*lacks, (ProblemKind.EXCLUDED, taken)]
    return FoundFiles(tuple(held), tuple(lacks))
