"""What became of a catalog that was rebuilt: what was found again, from where, and what could not be had back."""

from __future__ import annotations

import msgspec


class RebuiltTable(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of record, as far as the damaged catalog could be read."""

    name: str
    """As in the catalog: hosted_files, users, tokens …"""
    rows: int
    """That were taken over."""
    refused: int = 0
    """That could be read and were not taken over: they contradict themselves, or the files on disk."""
    fault: str = ""
    """What SQLite said where not all of it could be read; then nobody knows how many rows are lost."""


class RebuiltIndex(msgspec.Struct, frozen=True, kw_only=True):
    """One index after the rebuild."""

    name: str
    kind: str
    files: int
    """That it lists, or keeps, again."""
    from_audit: int = 0
    """Of those of a hosted index, the ones that only the audit log told of."""
    lost: tuple[str, ...] = ()
    """Files that it had, as some record says, and whose bytes are not there."""
    note: str = ""
    """What to do next, or what is not as it was."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """The report of `pypim doctor --rebuild`; sizes in bytes."""

    source: str
    """Where the damaged catalog is now; empty where there was none."""
    faults: tuple[str, ...]
    """What is wrong with it, as SQLite says."""
    files: int
    """In packages/, with the digest that their place says."""
    file_bytes: int
    damaged: tuple[str, ...]
    """Paths of files with other bytes than their place says; they were left there."""
    metadata_written: int
    """`.metadata` files that were missing or wrong, and were made again from their wheel."""
    tables: tuple[RebuiltTable, ...]
    indexes: tuple[RebuiltIndex, ...]
    users: tuple[str, ...]
    """The names of those that were had back, with their passwords."""
    tokens: int
    unexplained: tuple[str, ...] = ()
    """Names of files that no record explains; where there are hosted indexes, they have a second name in `aside`."""
    aside: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing that only the catalog knew is lost, as far as anybody can tell."""
        is_read = all(not table.fault and not table.refused for table in self.tables)
        return is_read and not self.damaged and not self.unexplained and not any(one.lost for one in self.indexes)
