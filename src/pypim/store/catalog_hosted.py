"""What the catalog remembers of hosted indexes: projects, files, tombstones, and a serial for every change."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pypim.core.hosted import Change, HostedFile, HostedProject, Standing, add_action, status_action
from pypim.core.model import ProjectStatus
from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.store.catalog_holdings import CatalogHoldings
    from pypim.store.database import Database


@told_as_damage
class CatalogHosted:
    """The Hosted and the Hosting of a catalog."""

    def __init__(self, database: Database, holdings: CatalogHoldings) -> None:
        self._database = database
        self._holdings = holdings

    def projects(self, index: str) -> list[HostedProject]:
        """Every project that it has or had, by name."""
        return [_project(row) for row in self._database.rows("hosted_projects", (index,))]

    def standing(self, index: str, project: NormalizedName, filename: str = "") -> Standing:
        """What it has of a project, and under the name of a file."""
        row = self._database.row("hosted_project", (index, project))
        files = self._database.rows("hosted_files", (index, project)) if row is not None else []
        same = self._database.row("hosted_file", (index, filename)) if filename else None
        tombstone = self._database.row("hosted_tombstone", (index, filename)) if filename else None
        deleted = self._database.rows("hosted_tombstones", (index, project)) if filename else []
        return Standing(
            project=None if row is None else _project(row),
            files=tuple(_file(row) for row in files),
            same_name=None if same is None else _file(same),
            is_deleted=tombstone is not None,
            deleted=tuple(name for (name,) in deleted),
        )

    def length(self, index: str, project: NormalizedName) -> int:
        """How many files it has of a project."""
        return int(self._database.rows("hosted_length", (index, project))[0][0])

    def changes(self, index: str, since: int, most: int) -> list[Change]:
        """Those with a higher serial, in order, so many at most."""
        return [
            Change(name=name, version=version, changed_at=changed_at, action=action, serial=serial)
            for name, version, changed_at, action, serial in self._database.rows("hosted_changes", (index, since, most))
        ]

    def last_serial(self, index: str) -> int:
        """That of the last change; 0 before the first."""
        return int(self._database.rows("hosted_serial", (index,))[0][0])

    def add(self, index: str, file: HostedFile, decided_on: Standing) -> bool:
        """List a file, and record that its bytes are held, in one transaction."""
        with self._database.transaction(is_durable=True):
            before = self.standing(index, file.project, file.filename)
            if before != decided_on:
                return False
            self._holdings.write([(file.identity, file.project, file.holding)])
            actions = [] if before.project is not None else ["create"]
            if all(other.version != file.version for other in before.files):
                actions.append("new release")
            if before.same_name is not None:
                self._database.run("forget_hosted_file", (index, file.filename))
                actions.append(f"remove file {file.filename}")
            self._database.run("keep_hosted_file", (index, *_row(file)))
            self._database.run("forget_hosted_tombstone", (index, file.filename))
            self._note(index, file.project, file.version, file.uploaded_at, [*actions, add_action(file)])
        return True

    def hold(self, file: HostedFile) -> None:
        """Record that its bytes are held, in one transaction."""
        with self._database.transaction(is_durable=True):
            self._holdings.write([(file.identity, file.project, file.holding)])

    def yank(self, index: str, project: NormalizedName, version: str, now: float, *, yanked: bool | str) -> bool:
        """PEP 592, for all files of a release; nothing is written where that changes nothing."""
        with self._database.transaction(is_durable=True):
            files = [file for file in self.standing(index, project).files if file.version == version]
            if any(file.yanked != yanked for file in files):
                reason = yanked if isinstance(yanked, str) else None
                row = (yanked is not False, reason, index, project, version)
                self._database.run("yank_hosted_release", row)
                self._note(index, project, version, now, ["yank release" if row[0] else "unyank release"])
        return bool(files)

    def remove(self, index: str, filename: str, reason: str, now: float) -> HostedFile | None:
        """Delete a file from its page, and leave a tombstone; the bytes are left to prune."""
        return self._database.freeing(partial(self._remove, index, filename, reason, now))

    def _remove(self, index: str, filename: str, reason: str, now: float) -> HostedFile | None:
        with self._database.transaction(is_durable=True):
            row = self._database.row("hosted_file", (index, filename))
            if row is None:
                return None
            file = _file(row)
            self._database.run("forget_hosted_file", (index, filename))
            self._database.run("keep_hosted_tombstone", (index, filename, file.project, file.sha256, now, reason))
            actions = [f"remove file {filename}"]
            if all(other.version != file.version for other in self.standing(index, file.project).files):
                actions.append("remove release")
            self._note(index, file.project, file.version, now, actions)
        return file

    def mark(self, index: str, project: NormalizedName, status: ProjectStatus, reason: str | None, now: float) -> bool:
        """PEP 792; nothing is written where that changes nothing."""
        with self._database.transaction(is_durable=True):
            before = self.standing(index, project).project
            if before is None:
                return False
            if (before.status, before.status_reason) != (status, reason):
                self._database.run("keep_hosted_project", (index, project, status.value, reason, before.serial))
                self._note(index, project, None, now, [status_action(before.status, status)])
        return True

    def _note(self, index: str, project: NormalizedName, version: str | None, now: float, actions: list[str]) -> None:
        """Give each change its serial; the last one is the project's."""
        serial = 0
        for action in actions:
            serial = self._database.run("add_hosted_change", (index, project, version, now, action))
        before = self.standing(index, project).project
        status = ProjectStatus.ACTIVE if before is None else before.status
        reason = None if before is None else before.status_reason
        self._database.run("keep_hosted_project", (index, project, status.value, reason, serial))


def _project(row: tuple[Any, ...]) -> HostedProject:
    name, status, status_reason, serial = row
    return HostedProject(name=name, status=ProjectStatus(status), status_reason=status_reason, serial=serial)


def _file(row: tuple[Any, ...]) -> HostedFile:
    *plain, is_yanked, yanked_reason, attestations = row
    yanked = (yanked_reason or True) if is_yanked else False
    return HostedFile(**dict(zip(_COLUMNS, plain, strict=True)), yanked=yanked, attestations=attestations)


def _row(file: HostedFile) -> tuple[object, ...]:
    reason = file.yanked if isinstance(file.yanked, str) else None
    plain = (getattr(file, column) for column in _COLUMNS)
    return (*plain, file.yanked is not False, reason, file.attestations, file.identity)


_COLUMNS = (
    "project",
    "filename",
    "version",
    "sha256",
    "blake2b_256",
    "size",
    "uploaded_at",
    "uploaded_by",
    "requires_python",
    "metadata_sha256",
)
