"""An index of one's own projects: its pages are what people uploaded, and nothing of it is asked of anyone else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from pypim.core.errors import ProjectNotFound
from pypim.core.model import Page, ProjectList, ProjectStatus
from pypim.index.held_files import held_metadata, held_path

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.core.patterns import ProjectPatterns
    from pypim.index.long_pages import FileBound
    from pypim.ports import Blobs, Epochs, Hosted


class HostedIndex:
    """The Served of one hosted index."""

    def __init__(
        self,
        name: str,
        hosted: Hosted,
        blobs: Blobs,
        epochs: Epochs,
        reserve: ProjectPatterns | None = None,
        bound: FileBound | None = None,
    ) -> None:
        """`reserve` are the names that are kept for it, besides those that it has or had; None: only those.

        `bound`: which of its pages may be in memory here; None: any.
        """
        self._name = name
        self._hosted = hosted
        self._blobs = blobs
        self._epochs = epochs
        self._reserve = reserve
        self._bound = bound
        self._known_names: frozenset[NormalizedName] = frozenset()
        self._names_epoch: int | None = None

    @property
    def name(self) -> str:
        """As it is configured."""
        return self._name

    def mark(self, name: NormalizedName | None) -> object:
        """The epoch: it advances with every change, before whoever made the change is answered."""
        del name
        return self._epochs.epoch(self._name)

    async def project_list(self) -> ProjectList:
        """Every project that it has or had, but for those in quarantine (PEP 792)."""
        projects = self._hosted.projects(self._name)
        offered = {one.name: one.serial for one in projects if one.status is not ProjectStatus.QUARANTINED}
        return ProjectList(projects=dict(offered), last_serial=max(self._hosted.last_serial(self._name), 1))

    async def project(self, name: NormalizedName) -> Page:
        """The page; an empty one where all files were deleted, for the name stays ours.

        Raises ProjectNotFound, or PageIsLong.
        """
        if self._bound is not None:
            await self._bound.admit(self._name, self._hosted.length(self._name, name))
        standing = self._hosted.standing(self._name, name)
        if standing.project is None:
            raise ProjectNotFound(name, self._name)
        files = standing.files if standing.project.status is not ProjectStatus.QUARANTINED else ()
        return Page(
            name=name,
            files=tuple(file.entry() for file in files),
            status=standing.project.status,
            status_reason=standing.project.status_reason,
            versions=tuple(sorted({file.version for file in files}, key=Version)),
            last_serial=standing.project.serial,
        )

    def reserves(self, name: NormalizedName) -> bool:
        """Whether no other index of a group may ever be asked for that name: by a rule, or for it has or had it."""
        return self.reserves_by_rule(name) or name in self._names()

    def reserves_by_rule(self, name: NormalizedName) -> bool:
        """The same where a group takes a project's files from all of its members: what it has reserves nothing then."""
        return self._reserve is not None and bool(self._reserve.about(name))

    def _names(self) -> frozenset[NormalizedName]:
        """The projects that it has or had; a group asks for very many names at once."""
        epoch = self._epochs.epoch(self._name)
        if epoch != self._names_epoch:
            self._known_names = frozenset(project.name for project in self._hosted.projects(self._name))
            self._names_epoch = epoch
        return self._known_names

    async def content(self, project: NormalizedName, file: DistFile) -> Path:
        """Where the bytes of a listed file are. Raises CorruptBlob where somebody took them away."""
        del project
        return held_path(self._blobs, file)

    async def metadata_bytes(self, project: NormalizedName, file: DistFile) -> bytes:
        """The `.metadata` beside a wheel. Raises MetadataNotFound or CorruptBlob."""
        del project
        return held_metadata(self._blobs, file)
