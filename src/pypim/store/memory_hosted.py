"""The twin in memory of what the catalog remembers of hosted indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.hosted import Change, HostedFile, HostedProject, Standing, add_action, status_action
from pypim.core.model import ProjectStatus

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.audit import AuditEntry


class MemoryHosted:
    """Hosted and Hosting in dictionaries."""

    def __init__(self) -> None:
        self._projects: dict[tuple[str, NormalizedName], HostedProject] = {}
        self._files: dict[tuple[str, str], HostedFile] = {}
        self._deleted: dict[tuple[str, str], NormalizedName] = {}
        self._changes: list[tuple[str, Change]] = []

    def projects(self, index: str) -> list[HostedProject]:
        """Every project that it has or had, by name."""
        return [project for (where, _), project in sorted(self._projects.items()) if where == index]

    def standing(self, index: str, project: NormalizedName, filename: str = "") -> Standing:
        """What it has of a project, and under the name of a file."""
        files = [file for (where, _), file in self._files.items() if where == index and file.project == project]
        return Standing(
            project=self._projects.get((index, project)),
            files=tuple(sorted(files, key=lambda file: (file.uploaded_at, file.filename))),
            same_name=self._files.get((index, filename)),
            is_deleted=(index, filename) in self._deleted,
            deleted=tuple(
                name
                for (where, name), of in sorted(self._deleted.items())
                if filename and (where, of) == (index, project)
            ),
        )

    def length(self, index: str, project: NormalizedName) -> int:
        """How many files it has of a project."""
        return len(self.standing(index, project).files)

    def changes(self, index: str, since: int, most: int) -> list[Change]:
        """Those with a higher serial, in order."""
        return [change for where, change in self._changes if where == index and change.serial > since][:most]

    def last_serial(self, index: str) -> int:
        """That of the last change."""
        return max((change.serial for where, change in self._changes if where == index), default=0)

    def add(self, index: str, file: HostedFile, decided_on: Standing) -> bool:
        """List a file."""
        before = self.standing(index, file.project, file.filename)
        if before != decided_on:
            return False
        actions = [] if before.project is not None else ["create"]
        if file.version not in {other.version for other in before.files}:
            actions.append("new release")
        if before.same_name is not None:
            actions.append(f"remove file {file.filename}")
        self._files[index, file.filename] = file
        self._deleted.pop((index, file.filename), None)
        self._note(index, file.project, file.version, file.uploaded_at, [*actions, add_action(file)])
        return True

    def hold(self, file: HostedFile) -> None:
        """There is nothing here that knows of bytes."""

    def yank(self, index: str, project: NormalizedName, version: str, now: float, *, yanked: bool | str) -> bool:
        """Mark all files of a release."""
        files = [file for file in self.standing(index, project).files if file.version == version]
        if any(file.yanked != yanked for file in files):
            for file in files:
                self._files[index, file.filename] = msgspec.structs.replace(file, yanked=yanked)
            self._note(index, project, version, now, ["unyank release" if yanked is False else "yank release"])
        return bool(files)

    def remove(self, index: str, filename: str, reason: str, now: float) -> HostedFile | None:
        """Delete a file, and remember its name; nobody reads the reason through this port."""
        del reason
        file = self._files.pop((index, filename), None)
        if file is None:
            return None
        self._deleted[index, filename] = file.project
        actions = [f"remove file {filename}"]
        if file.version not in {other.version for other in self.standing(index, file.project).files}:
            actions.append("remove release")
        self._note(index, file.project, file.version, now, actions)
        return file

    def mark(self, index: str, project: NormalizedName, status: ProjectStatus, reason: str | None, now: float) -> bool:
        """PEP 792."""
        before = self._projects.get((index, project))
        if before is not None and (before.status, before.status_reason) != (status, reason):
            marked = msgspec.structs.replace(before, status=status, status_reason=reason)
            self._projects[index, project] = marked
            self._note(index, project, None, now, [status_action(before.status, status)])
        return before is not None

    def _note(self, index: str, project: NormalizedName, version: str | None, now: float, actions: list[str]) -> None:
        for action in actions:
            last = max((change.serial for _, change in self._changes), default=0)
            serial = max(last + 1, int(now))
            change = Change(name=project, version=version, changed_at=now, action=action, serial=serial)
            self._changes.append((index, change))
        before = self._projects.get((index, project), HostedProject(name=project, serial=0))
        self._projects[index, project] = msgspec.structs.replace(before, serial=serial)


class MemoryAudit:
    """An Audit in a list."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def append(self, entry: AuditEntry) -> None:
        """Remember it."""
        self.entries.append(entry)
