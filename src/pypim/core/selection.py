"""A selection: the chosen files of an index, each release with the reasons that keep it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, ProjectStatus


BUILD = " (to build it)"
"""Stands behind a requirement that builds what requires it, in lines for people."""


class Reason(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One edge of the graph that keeps a release: a root's rule, or a requirement of another chosen release."""

    origin: str
    """Where the root stands ("packages.django", "requirements.txt:3"); empty for a requirement of a release."""
    parent_project: str = ""
    parent_version: str = ""
    """The release whose requirement it is; empty for a root."""
    requirement: str
    """The rule or requirement as written, with its marker."""
    environments: tuple[str, ...]
    """The names of the target environments in which it holds, sorted."""
    is_build: bool = False
    """Whether the parent needs it to be built from its sdist (PEP 518), rather than to run."""


class Share(msgspec.Struct, frozen=True, order=True, array_like=True):
    """In which resolutions a reason counts, in some environments."""

    environments: tuple[str, ...]
    """Their names, sorted; of one that counts in part the name of that end (see `target.end_names`)."""
    resolutions: tuple[int, ...]
    """Their numbers, sorted: 0 is the newest of everything, which many roots have in common; each other number is what
    a search found for one root, or for one build. None of them for a root with which nothing else comes."""


class ChosenRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A release with the files that some target can use; at least one file and one reason."""

    project: NormalizedName
    version: str
    """Normalised (PEP 440), or the text of the file names where it is not a valid version."""
    files: tuple[DistFile, ...]
    reasons: tuple[Reason, ...]
    shares: tuple[tuple[Share, ...], ...] = ()
    """For each reason, in the same order, in which resolutions it counts, so that no chain goes on in another one than
    it began in. A reason without any counts in the newest of everything alone, wherever it holds; so do all reasons
    where this is empty."""


class ProjectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a published page says of a project besides its files (PEP 792)."""

    name: NormalizedName
    status: ProjectStatus
    status_reason: str | None = None


class ProblemKind(StrEnum):
    """What stands in the way, by who can change it."""

    MISSING = "missing"  # the upstream has no such project
    UNSATISFIED = "unsatisfied"  # no release fits the requirement on that environment
    EXCLUDED = "excluded"  # a filter of the configuration takes it away
    FAULT = "fault"  # the upstream or the bytes failed


class Problem(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Something that was asked for and cannot be had; named in the report, never skipped in silence."""

    project: str
    requirement: str
    """What was asked for, as written."""
    reason: str
    """A sentence for people: what is missing or which rule takes it away."""
    chain: tuple[str, ...] = ()
    """From the root to the requirement."""
    environments: tuple[str, ...] = ()
    """The environments concerned."""
    is_root: bool = False
    """Whether a root itself fails."""
    kind: ProblemKind = ProblemKind.UNSATISFIED
    is_certain: bool = True
    """False where only an open marker leads there, or only some targets of a root are concerned."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What an index shall hold. Sorted by project and version, so that equal selections are equal values."""

    releases: tuple[ChosenRelease, ...] = ()
    projects: tuple[ProjectFacts, ...] = ()
    """The projects of the releases, and all others whose page was read; a quarantined one must offer nothing."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    """Facts to know about what was chosen: lower bounds, repaired or unreadable requirements."""
