"""Whether a catalog is lost: a new one in its place would forget what nobody can fetch again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import CorruptCatalog

if TYPE_CHECKING:
    from pathlib import Path

_REASON = "it is lost, or empty, and what it told of is still there"


def is_lost(catalog: Path) -> bool:
    """Whether there is none, or one that was never written or was cut to nothing."""
    try:
        return catalog.stat().st_size == 0
    except FileNotFoundError:
        return True


def refuse_lost(catalog: Path, audit_log: Path, files: Path, *, has_hosted: bool) -> None:
    """Raise CorruptCatalog where a lost one had uploads, users or tokens: what a mirror had its next sync finds again.

    `audit_log` is that of the store's own folder, `files` the folder that holds `packages/`.
    """
    if is_lost(catalog) and (_is_written(audit_log) or (has_hosted and _has_files(files / "packages"))):
        raise CorruptCatalog(str(catalog), _REASON)


def _is_written(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _has_files(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))
