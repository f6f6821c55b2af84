"""The records of a hosted index: its projects and files, what was deleted of them, and every change with its serial."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from pypim.core.filenames import parse_filename
from pypim.core.model import Blob, DistFile, Holding, ProjectStatus
from pypim.core.served import held_entry

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.names import SafeFilename


class HostedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution file that somebody uploaded."""

    project: NormalizedName
    filename: SafeFilename
    version: str
    """Normalised (PEP 440)."""
    sha256: str
    blake2b_256: str
    size: int
    """In bytes."""
    uploaded_at: float
    """When it was received, in seconds since 1970 in UTC: the `upload-time` of PEP 700."""
    uploaded_by: str
    """The name of the visitor."""
    requires_python: str | None = None
    metadata_sha256: str | None = None
    """Of a wheel's METADATA, which stands beside it."""
    yanked: bool | str = False
    """PEP 592: False, True (no reason given) or the reason."""
    attestations: str | None = None
    """JSON list as it came with the upload (PEP 740); not verified."""

    @property
    def holding(self) -> Holding:
        """Where its bytes are."""
        blob = Blob(sha256=self.sha256, blake2b_256=self.blake2b_256, size=self.size)
        return Holding(filename=self.filename, blob=blob, metadata_sha256=self.metadata_sha256)

    @property
    def identity(self) -> str:
        """As `DistFile.identity`: the name under which the bytes are held."""
        return f"{self.filename}#{self.sha256}"

    def entry(self) -> DistFile:
        """As the project's page lists it."""
        listed = DistFile(
            filename=self.filename,
            url="",
            upload_time=upload_time(self.uploaded_at),
            requires_python=self.requires_python,
            yanked=self.yanked,
        )
        return held_entry(listed, self.holding)


class HostedProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project of a hosted index; once made it stays, also without files, so that its name is nobody else's."""

    name: NormalizedName
    status: ProjectStatus = ProjectStatus.ACTIVE
    status_reason: str | None = None
    serial: int
    """That of its last change."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a project; the action is one of those that mirrors know from PyPI's changelog."""

    name: NormalizedName
    version: str | None
    changed_at: float
    """Seconds since 1970 in UTC."""
    action: str
    serial: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an index has of a project, and under the name of a file that is to be added."""

    project: HostedProject | None = None
    """None: there is no such project yet."""
    files: tuple[HostedFile, ...] = ()
    """All of the project's, in the order in which they came."""
    same_name: HostedFile | None = None
    """The file that has the name; of this project, as a rule (foo-1-1.tar.gz may be one of foo or of foo-1)."""
    is_deleted: bool = False
    """Whether a file of that name was deleted before."""
    deleted: tuple[str, ...] = ()
    """The names of all files of the project that were deleted, in order; only where a file is to be added."""


def upload_time(seconds: float) -> str:
    """PEP 700 `upload-time`: ISO 8601 in UTC with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def add_action(file: HostedFile) -> str:
    """What the changelog calls an upload: `add <python> file <filename>`."""
    python = "source"
    if file.filename.endswith(".whl"):
        python = file.filename.split("-")[-3]
    elif file.filename.endswith(".egg"):
        python = next(iter(parse_filename(file.filename, file.project).python_tags), "any")
    return f"add {python} file {file.filename}"


def status_action(before: ProjectStatus, after: ProjectStatus) -> str:
    """What the changelog calls a change of status; in PyPI's words where it has any."""
    if after is not ProjectStatus.ACTIVE:
        return f"project {after}"
    return "project quarantine cleared" if before is ProjectStatus.QUARANTINED else "project active"
