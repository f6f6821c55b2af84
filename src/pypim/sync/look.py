"""Looks at one project of an index that follows no dependencies: its page, and what its roots choose from it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.closure import Closure
from pypim.core.errors import IntegrityFault, PypimError, Refused, UpstreamFault
from pypim.core.policy import old_enough_at
from pypim.core.retention import carried_over
from pypim.core.selection import Selection
from pypim.sync.collect import Collector
from pypim.sync.removed import with_removed
from pypim.sync.silent import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser
    from pypim.core.model import Page
    from pypim.sync.model import Request, Stack
    from pypim.sync.walking import Visit

_NOTHING = Selection()
_SILENCE = SilentReporter()


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one project."""

    visit: Visit
    current: Selection
    """What the index has of it now."""
    selection: Selection = _NOTHING
    """What it shall have."""
    selection_after_faults: Selection = _NOTHING
    """The same with all that it has now, for a file of which something could not be had."""
    revisit_at: float | None = None
    """When a file will be old enough that is too young now, in seconds since the epoch."""
    fault: PypimError | None = None
    """Why nothing was seen."""

    @property
    def project(self) -> NormalizedName:
        """Its name."""
        return self.visit.project


async def look(stack: Stack, request: Request, chooser: Chooser, visit: Visit) -> Look:
    """Read the page of a project and choose from it. An upstream that fails is in `fault`; raises StoreFault."""
    current = stack.generations.portion(request.index, visit.project)
    closure = Closure(chooser, request.follow, request.constraints)
    collector = Collector(stack.index, stack.metadata, stack.sizes, _SILENCE, keeps_going=False, known=stack.known)
    try:
        chosen = await collector.collect(closure, visit.roots) if visit.roots else _NOTHING
    except (UpstreamFault, IntegrityFault, Refused) as fault:
        return Look(visit=visit, current=current, fault=fault)
    pages = with_removed(stack, request, current, closure.pages())
    carry_over = partial(carried_over, chosen, current, request.on_removal, request.policy, pages)
    return Look(
        visit=visit,
        current=current,
        selection=carry_over(is_partial=False),
        selection_after_faults=carry_over(is_partial=True),
        revisit_at=_revisit_at(chooser, pages),
    )


def _revisit_at(chooser: Chooser, pages: Mapping[NormalizedName, Page]) -> float | None:
    if not chooser.policy.min_age:
        return None
    times = (old_enough_at(chooser.policy, file) for page in pages.values() for file in page.files)
    now = chooser.now.timestamp()
    return min((at for at in times if at is not None and at >= now), default=None)
