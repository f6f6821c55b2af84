"""What a sync is asked to do, what it works with, and what it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.followed import Patience
from pypim.core.plan import Plan
from pypim.core.selection import Problem
from pypim.index.file_hosts import FileHostReport

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from pypim.core.apart import Apart
    from pypim.core.closure import FollowOptions, Root
    from pypim.core.model import Page
    from pypim.core.outcomes import Pair
    from pypim.core.policy import Policy
    from pypim.core.retention import OnRemoval
    from pypim.core.rules import Rule
    from pypim.core.selection import Selection
    from pypim.core.target import Environment
    from pypim.index.file_hosts import FileHosts
    from pypim.ports import (
        Backlog,
        Blobs,
        Clock,
        Epochs,
        Fetcher,
        Findings,
        Following,
        Follows,
        Generations,
        Holdings,
        Index,
        Known,
        MetadataReader,
        Plans,
        Published,
        Reporter,
        Runs,
        SizeReader,
        Tree,
        Walks,
    )


class Pattern(msgspec.Struct, frozen=True):
    """A rule for every project whose normalised name matches."""

    expression: re.Pattern[str]
    rule: Rule
    origin: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What one index shall hold, as its configuration says."""

    index: str
    roots: tuple[Root, ...]
    patterns: tuple[Pattern, ...] = ()
    environments: tuple[Environment, ...]
    policy: Policy
    follow: FollowOptions
    constraints: Mapping[NormalizedName, SpecifierSet]
    on_removal: OnRemoval
    told: str = ""
    """Digest of what the configuration and the command line say, before any file is read, and of the program."""
    inputs: tuple[tuple[str, str], ...] | None = None
    """Path and sha256 of every file that was read; None where that does not tell all that they say."""
    digest: str
    """Of all that the configuration says about this index and of the program's version."""
    jobs: int = 16
    max_seconds: float | None = None
    """How long a run may take before it stops in good order; None for no limit, as below."""
    max_bytes: int | None = None
    """How much a run may fetch."""
    limit_bytes: int
    """The largest file that is taken where the upstream does not say its size."""
    notes: tuple[str, ...] = ()
    """What requirements files say that has no meaning for a mirror, each with its place and what to use instead."""


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """The ports that a sync of one index works with."""

    index: Index
    upstream_url: str
    """Of its Simple API, without credentials: under it `following` knows the upstream."""
    following: Following
    follows: Follows | None
    """None where the upstream is no Simple API."""
    backlog: Backlog
    metadata: MetadataReader
    sizes: SizeReader
    known: Known
    fetcher: Fetcher
    blobs: Blobs
    holdings: Holdings
    generations: Generations
    published: Published
    findings: Findings
    walks: Walks
    plans: Plans
    runs: Runs
    clock: Clock
    reporter: Reporter
    tree: Tree | None
    epochs: Epochs
    file_hosts: FileHosts | None = None
    patience: Patience = Patience()
    """How much it takes to believe what the upstream seems to say."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync or a plan found and did. Sizes in bytes, times in seconds."""

    index: str
    outcome: str
    """"planned", "unchanged", "done", "partial" where something is missing that was asked for, or "stopped" where
    max-time or max-bytes has left something for the next run."""
    plan: Plan
    problems: tuple[Problem, ...]
    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    fetched_files: int = 0
    fetched_bytes: int = 0
    pages_written: int = 0
    deleted_files: int = 0
    file_hosts: tuple[FileHostReport, ...] = ()
    """What came of each, where the upstream has any; none where nothing was fetched."""
    corrected: tuple[str, ...] = ()
    """Wheels whose core metadata is not what the upstream told; what they require was chosen in this same run."""
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for is there, or would be."""
        return not self.faults and not any(problem.is_certain for problem in self.problems)


class Selected(msgspec.Struct, frozen=True):
    """The first half of a sync: the selection, the faults met on the way, and the projects looked at with serials."""

    selection: Selection
    faults: tuple[str, ...]
    serials: dict[NormalizedName, int | None]
    pages: dict[NormalizedName, Page]
    pairs: tuple[Pair, ...] = ()
    """What was resolved, where a complete resolver has chosen."""
    left_out: frozenset[NormalizedName] = frozenset()
    """Projects that went because they depend on what filters keep out; they are no roots any more."""
    apart: tuple[Apart, ...] | None = None
    """The files whose lines cannot be installed together; None where nobody has tried."""
