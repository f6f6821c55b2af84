"""Fills a new catalog with what a damaged one, the files on disk and the audit log still tell.

Nothing is believed for being written down: a row is taken over only where the file that it is about stands there with
its digest, or where its form shows that it is what it should be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pypim.core.archive import sdist_metadata, wheel_metadata
from pypim.core.errors import CorruptBlob, PypimError, StoreUnreadable
from pypim.core.filenames import FileKind, parse_filename, parse_version, project_of
from pypim.core.hosted import HostedFile
from pypim.core.metadata import parse_metadata
from pypim.core.model import MetadataSource, ProjectStatus
from pypim.core.names import parse_name
from pypim.core.rebuilt import RebuiltIndex, RebuiltTable
from pypim.core.records import Owner
from pypim.core.replay import Told
from pypim.core.tokens import parse_user_name
from pypim.core.upload_archive import examine
from pypim.core.upload_metadata import read_declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pypim.core.model import CoreMetadata, Holding
    from pypim.store.blobs import LocalBlobs
    from pypim.store.catalog import Catalog
    from pypim.store.salvage import Row, Salvaged

_HEX = re.compile(r"[0-9a-f]{64}")
_TOKEN_ID = re.compile(r"[0-9a-f]{12}")
_HASHED = re.compile(r"\$argon2(id?|d)\$[\x21-\x7e]{40,}")
_MOST_SECONDS = 1e11
_IDENTITY_AT, _PROJECT_AT = 0, 1


class Restoration:
    """One new catalog on its way to what the old one was; each step is a transaction, in this order."""

    def __init__(self, catalog: Catalog, blobs: LocalBlobs, holdings: Sequence[Holding], salvaged: Salvaged) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._blobs = blobs
        self._by_path = {holding.path: holding for holding in holdings}
        self._by_hash = {f"{holding.filename}#{holding.blob.sha256}": holding for holding in holdings}
        self._salvaged = salvaged
        self._private: set[str] = set()
        self._taken: dict[str, int] = {}
        self._refused: dict[str, int] = {}

    @property
    def tables(self) -> tuple[RebuiltTable, ...]:
        """What came of each."""
        return tuple(
            RebuiltTable(
                name=table,
                rows=self._taken.get(table, 0),
                refused=self._refused.get(table, 0),
                fault=self._salvaged.faults.get(table, ""),
            )
            for table in self._salvaged.rows
        )

    def restore_holdings(self, told: Told) -> None:
        """Every file that stands there is held, under its hash, and under what else a row called it.

        It counts for every index, as what was found in the store; but what somebody uploaded, as a row or the audit
        log says, is nobody else's.
        """
        projects: dict[str, str] = {}
        others = []
        for row in self._checked("holdings", self._is_holding):
            identity, project, path = row[_IDENTITY_AT], row[_PROJECT_AT], _path_of(row[2], row[4])
            projects[path] = project
            if identity not in self._by_hash:  # listed without a hash
                others.append((identity, parse_name(project), self._by_path[path]))
        held = list(others)
        for identity, holding in self._by_hash.items():
            name = projects.get(holding.path) or project_of(holding.filename)
            if name is not None:
                held.append((identity, parse_name(name), holding))
        private = self._private = self._uploaded(told)
        self._catalog.holdings.record(one for one in held if one[2].filename in private)
        found = self._catalog.of(Owner(index="", upstream=""))
        found.holdings.record(one for one in held if one[2].filename not in private)

    def _uploaded(self, told: Told) -> set[str]:
        """The names of all files that a hosted index has or had."""
        rows = self._salvaged.rows
        names = {row[2] for row in rows["hosted_files"]} | {row[1] for row in rows["hosted_tombstones"]}
        return names | {filename for _, filename in (*told.files, *told.deletions)}

    def learn_metadata(self) -> None:
        """What the files say of themselves, so that a sync need not ask the upstream for files that are here.

        What somebody uploaded says it to nobody else.
        """
        for sha256, holding in {one.blob.sha256: one for one in self._by_hash.values()}.items():
            if holding.filename in self._private:
                continue
            learned = _core_metadata(self._blobs.path(holding), holding)
            if learned is not None:
                self._catalog.metadata.keep_metadata(sha256, *learned, is_checked=True)

    def restore_plain(self) -> tuple[tuple[str, ...], int]:
        """Users, tokens, what proxies keep and what waits to be deleted; (names of the users, number of tokens)."""
        users = self._checked("users", _is_user)
        names = {row[1] for row in users}
        tokens = self._checked("tokens", lambda row: _is_token(row) and row[3] in {None, *names})
        held = {identity for identity, _ in self._catalog.holdings.holdings()}
        with self._database.transaction(is_durable=True):
            self._database.run_many("keep_user", (row[1:] for row in users))
            self._database.run_many("keep_token", (row[1:] for row in tokens))
            for table, query in (("cached", "keep_cached"), ("removals", "keep_removal")):
                self._database.run_many(query, self._checked(table, lambda row: row[1] in held))
        return tuple(sorted(names)), len(tokens)

    def restore_hosted(self, names: Iterable[str], told: Told) -> list[RebuiltIndex]:
        """The hosted indexes, from their rows and, for what those lack, from the audit log."""
        rows = self._salvaged.rows["hosted_files"]
        lost = {(row[0], row[2]) for row in rows if not self._stands(row)}
        with self._database.transaction(is_durable=True):
            self._database.run_many("restore_hosted_change", self._checked("hosted_changes", _is_change))
            self._database.run_many("keep_hosted_project", self._checked("hosted_projects", _is_project))
            self._database.run_many("keep_hosted_file", self._checked("hosted_files", self._is_hosted_file))
            self._database.run_many("keep_hosted_tombstone", self._checked("hosted_tombstones", _is_tombstone))
        found = []
        for index in names:
            added, missing = self._add_told(index, told)
            gone = {filename for where, filename in lost if where == index} | missing
            listed = {file.filename for file in self._files(index)}
            found.append(
                RebuiltIndex(
                    name=index,
                    kind="hosted",
                    files=len(listed),
                    from_audit=added,
                    lost=tuple(sorted(gone - listed)),
                    note=_hosted_note(self._salvaged, added),
                )
            )
        return found

    def _checked(self, table: str, is_right: Callable[[Row], bool]) -> list[Row]:
        rows = self._salvaged.rows[table]
        right = [row for row in rows if _holds(is_right, row)]
        self._taken[table], self._refused[table] = len(right), len(rows) - len(right)
        return right

    def _is_holding(self, row: Row) -> bool:
        identity, project, filename, sha256, blake2b_256, size, _, _ = row
        holding = self._by_path.get(_path_of(filename, blake2b_256))
        return (
            holding is not None
            and (holding.blob.sha256, holding.blob.size) == (sha256, size)
            and identity.startswith(f"{filename}#")
            and parse_name(project) == project
        )

    def _stands(self, row: Row) -> bool:
        _, _, filename, _, sha256, blake2b_256, size, *_ = row
        holding = self._by_hash.get(f"{filename}#{sha256}")
        return holding is not None and (holding.blob.blake2b_256, holding.blob.size) == (blake2b_256, size)

    def _is_hosted_file(self, row: Row) -> bool:
        _, project, filename, version, sha256, *_, metadata_sha256, _, _, _, identity = row
        return (
            self._stands(row)
            and identity == f"{filename}#{sha256}"
            and metadata_sha256 == self._by_hash[identity].metadata_sha256
            and parse_name(project) == project
            and parse_version(version) is not None
        )

    # --- from the audit log -----------------------------------------------------------------------------------------
    def _files(self, index: str) -> list[HostedFile]:
        hosted = self._catalog.hosted
        return [file for project in hosted.projects(index) for file in hosted.standing(index, project.name).files]

    def _add_told(self, index: str, told: Told) -> tuple[int, set[str]]:
        """(how many files were added, the names of those whose bytes are not there or not certain)."""
        listed = {file.filename for file in self._files(index)}
        added, missing = 0, set()
        for (where, filename), upload in told.files.items():
            if where != index or filename in listed:
                continue
            candidates = [one for one in self._by_hash.values() if one.filename == filename]
            file = self._read(candidates[0], upload.uploaded_at, upload.uploaded_by) if len(candidates) == 1 else None
            if file is None:
                missing.add(filename)
                continue
            yanked = told.yanks.get((index, file.project, file.version), False)
            standing = self._catalog.hosted.standing(index, file.project, filename)
            if not standing.is_deleted:
                self._catalog.hosted.add(index, _yanked(file, yanked=yanked), standing)
                added += 1
        self._add_told_marks(index, told)
        return added, missing

    def _add_told_marks(self, index: str, told: Told) -> None:
        """Names that are not used again, and the status of projects whose rows were lost."""
        had = {row[1] for row in self._salvaged.rows["hosted_projects"] if row[0] == index}
        with self._database.transaction(is_durable=True):
            for (where, filename), gone in told.deletions.items():
                if where == index and not self._is_known(index, filename, gone.project):
                    row = (index, filename, gone.project, "", gone.deleted_at, gone.reason)
                    self._database.run("keep_hosted_tombstone", row)
        for (where, project), (status, reason) in told.statuses.items():
            if where == index and project not in had:
                self._catalog.hosted.mark(index, parse_name(project), status, reason, 0.0)

    def _is_known(self, index: str, filename: str, project: str) -> bool:
        standing = self._catalog.hosted.standing(index, parse_name(project), filename)
        return standing.is_deleted or standing.same_name is not None

    def _read(self, holding: Holding, uploaded_at: float, uploaded_by: str) -> HostedFile | None:
        """What an upload of that file would be listed as; None where it cannot be one."""
        with self._blobs.path(holding).open("rb") as stream:
            facts = examine(stream, holding.filename)
        declared = read_declared(facts.metadata, "METADATA")[0] if facts.metadata is not None else None
        if declared is None:
            return None
        return HostedFile(
            project=declared.name,
            filename=holding.filename,
            version=str(declared.version),
            sha256=holding.blob.sha256,
            blake2b_256=holding.blob.blake2b_256,
            size=holding.blob.size,
            uploaded_at=uploaded_at,
            uploaded_by=uploaded_by,
            requires_python=declared.requires_python,
            metadata_sha256=holding.metadata_sha256,
        )


def _core_metadata(path: Path, holding: Holding) -> tuple[CoreMetadata, bytes | None] | None:
    """As it is learned of a file that is listed; None of one that says nothing, or is broken."""
    project = project_of(holding.filename)
    kind = parse_filename(holding.filename, project).kind if project is not None else FileKind.UNKNOWN
    try:
        with path.open("rb") as stream:
            if kind is FileKind.WHEEL:
                body = wheel_metadata(stream, holding.filename)
                return parse_metadata(body, MetadataSource.WHEEL), body
            return sdist_metadata(stream, holding.filename) if kind is FileKind.SDIST else None
    except CorruptBlob:
        return None
    except OSError as error:
        raise StoreUnreadable(str(path), error.strerror or str(error)) from error


def _yanked(file: HostedFile, *, yanked: bool | str) -> HostedFile:
    import msgspec

    return msgspec.structs.replace(file, yanked=yanked)


def _hosted_note(salvaged: Salvaged, added: int) -> str:
    if added:
        return "attestations of files that only the audit log told of are lost"
    if any(table.startswith("hosted") for table in salvaged.faults):
        return "not all of its records could be read, and the audit log tells of no more"
    return ""


def _path_of(filename: str, blake2b_256: str) -> str:
    return f"packages/{blake2b_256[:2]}/{blake2b_256[2:4]}/{blake2b_256[4:]}/{filename}"


def _holds(is_right: Callable[[Row], bool], row: Row) -> bool:
    """Damage makes anything of a row: whatever the check stumbles over, the row is refused."""
    try:
        return is_right(row)
    except (PypimError, ValueError, TypeError, AttributeError):
        return False


def _is_time(value: float | None) -> bool:
    return value is None or 0 <= value < _MOST_SECONDS


def _is_user(row: Row) -> bool:
    _, name, password_hash, created_at, changed_at = row
    times = created_at is not None and _is_time(created_at) and _is_time(changed_at)
    return parse_user_name(name) == name and _HASHED.fullmatch(password_hash) is not None and times


def _is_token(row: Row) -> bool:
    from pypim.store.catalog_access import token_of

    _, token_id, secret, *_ = row
    token = token_of(row[1:])
    times = (token.created_at, token.expires_at, token.revoked_at, token.used_at)
    return (
        _TOKEN_ID.fullmatch(token_id) is not None
        and _HEX.fullmatch(secret) is not None
        and all(_is_time(time) for time in times)
    )


def _is_project(row: Row) -> bool:
    _, name, status, _, serial = row
    return parse_name(name) == name and ProjectStatus(status) is not None and serial >= 0


def _is_tombstone(row: Row) -> bool:
    _, filename, project, _, deleted_at, _ = row
    return bool(filename) and parse_name(project) == project and _is_time(deleted_at)


def _is_change(row: Row) -> bool:
    serial, _, project, _, changed_at, _ = row
    return serial > 0 and parse_name(project) == project and _is_time(changed_at)
