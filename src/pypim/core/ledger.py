"""The ledger of a closure: what was chosen and why, and what could not be had, until it becomes a selection."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from pypim.core.explain import explain_unsatisfied
from pypim.core.selection import ChosenRelease, Problem, ProblemKind, ProjectFacts, Reason, Selection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Candidates, Chooser, Release
    from pypim.core.model import CoreMetadata, DistFile, Page
    from pypim.core.rules import Rule


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Why something is needed: a root's origin, or the requirement of a chosen release."""

    origin: str = ""
    parent: Release | None = None
    requirement: str


class _Trouble(msgspec.Struct, frozen=True):
    project: NormalizedName
    edge: Edge
    kind: ProblemKind
    reason: str
    is_certain: bool


ReleaseKey = tuple[str, str]


class Ledger:
    """Collects choices in any order; `selection` sorts them, so that the order leaves no trace."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser
        self._files: dict[ReleaseKey, dict[str, DistFile]] = {}
        self._kept: dict[tuple[Release, bool], int] = {}
        self._edges: dict[ReleaseKey, dict[Edge, int]] = {}
        self._troubles: dict[_Trouble, int] = {}
        self._warnings: set[str] = set()

    def choose(self, release: Release, mask: int, edge: Edge, *, with_yanked: bool) -> None:
        """A release is chosen for the environments of a mask."""
        key = (release.project, release.text)
        edges = self._edges.setdefault(key, {})
        edges[edge] = edges.get(edge, 0) | mask
        fresh = mask & ~self._kept.get((release, with_yanked), 0)
        if fresh:
            self._kept[(release, with_yanked)] = self._kept.get((release, with_yanked), 0) | fresh
            files = self._files.setdefault(key, {})
            for file in self._chooser.kept_files(release, fresh, with_yanked=with_yanked):
                files[file.identity] = file

    def problem(
        self, project: NormalizedName, edge: Edge, kind: ProblemKind, reason: str, mask: int, *, is_certain: bool = True
    ) -> None:
        """Something cannot be had in the environments of a mask."""
        trouble = _Trouble(project, edge, kind, reason, is_certain)
        self._troubles[trouble] = self._troubles.get(trouble, 0) | mask

    def unsatisfied(self, candidates: Candidates, rule: Rule, mask: int, edge: Edge, *, is_certain: bool) -> None:
        """No release satisfies a rule in the environments of a mask."""
        kind, reason = explain_unsatisfied(candidates, rule, mask)
        self.problem(candidates.project, edge, kind, reason, mask, is_certain=is_certain)

    def warn(self, warning: str) -> None:
        """A fact to know about what was chosen."""
        self._warnings.add(warning)

    def learned(self, file: DistFile, metadata: CoreMetadata) -> None:
        """Note what the metadata of a file leaves in doubt."""
        if metadata.is_lower_bound:
            self.warn(f"{file.filename}: an sdist that may require more than is known without building it")
        for fault in metadata.faults:
            self.warn(f"{file.filename}: {fault}")

    def selection(self, pages: Mapping[NormalizedName, Page]) -> Selection:
        """Everything, sorted. `pages` are those of all projects that were asked for and exist."""
        releases = [
            ChosenRelease(
                project=pages[project].name,  # type: ignore[index]  # the keys are names as plain text
                version=version,
                files=tuple(sorted(self._files[(project, version)].values(), key=lambda file: file.filename)),
                reasons=tuple(sorted(self._reason(edge, mask) for edge, mask in edges.items())),
            )
            for (project, version), edges in sorted(self._edges.items())
            if self._files.get((project, version))
        ]
        facts = [
            ProjectFacts(name=page.name, status=page.status, status_reason=page.status_reason)
            for _, page in sorted(pages.items())
        ]
        chains = self._chains()
        problems = [self._problem(trouble, mask, chains) for trouble, mask in self._troubles.items()]
        return Selection(
            releases=tuple(releases),
            projects=tuple(facts),
            problems=tuple(sorted(problems)),
            warnings=tuple(sorted(self._warnings)),
        )

    def _reason(self, edge: Edge, mask: int) -> Reason:
        return Reason(
            origin=edge.origin,
            parent_project=edge.parent.project if edge.parent else "",
            parent_version=edge.parent.text if edge.parent else "",
            requirement=edge.requirement,
            environments=self._chooser.names(mask),
        )

    def _problem(self, trouble: _Trouble, mask: int, chains: Mapping[ReleaseKey, tuple[str, ...]]) -> Problem:
        parent = trouble.edge.parent
        chain = chains.get((parent.project, parent.text), ()) if parent else (trouble.edge.origin,)
        return Problem(
            project=trouble.project,
            requirement=trouble.edge.requirement,
            reason=trouble.reason,
            chain=chain,
            environments=self._chooser.names(mask),
            is_root=parent is None,
            kind=trouble.kind,
            is_certain=trouble.is_certain,
        )

    def _chains(self) -> dict[ReleaseKey, tuple[str, ...]]:
        """A shortest chain from a root to every release, as "origin", "project version", …; ties by name."""
        children: dict[ReleaseKey, list[ReleaseKey]] = {}
        chains: dict[ReleaseKey, tuple[str, ...]] = {}
        waiting: deque[ReleaseKey] = deque()
        for key, edges in sorted(self._edges.items()):
            origins = sorted(edge.origin for edge in edges if edge.parent is None)
            if origins:
                chains[key] = (origins[0], " ".join(key))
                waiting.append(key)
            for edge in edges:
                if edge.parent is not None:
                    children.setdefault((edge.parent.project, edge.parent.text), []).append(key)
        while waiting:
            key = waiting.popleft()
            for child in sorted(children.get(key, ())):
                if child not in chains:
                    chains[child] = (*chains[key], " ".join(child))
                    waiting.append(child)
        return chains
