"""What stays listed of the current generation, with what the upstream has removed for certain taken into account."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from pypim.core.model import Page
from pypim.core.retention import carried_over

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.selection import Selection
    from pypim.sync.model import Request, Selected, Stack


class CarryOver(Protocol):
    """Adds to a selection what must stay listed."""

    def __call__(self, *, is_partial: bool) -> Selection:
        """After a run with faults, `is_partial`, that is all there is."""


def carrying_over(stack: Stack, request: Request, selected: Selected, current: Selection | None) -> CarryOver:
    """What `core.retention.carried_over` makes of a selection."""
    pages = with_removed(stack, request, current, selected.pages)
    return partial(carried_over, selected.selection, current, request.on_removal, request.policy, pages)


def with_removed(
    stack: Stack, request: Request, current: Selection | None, pages: Mapping[NormalizedName, Page]
) -> Mapping[NormalizedName, Page]:
    """The pages that were read, and one without files for each project of the current generation that is gone."""
    if current is None or not request.on_removal.yanks_removed:
        return pages
    unread = sorted({release.project for release in current.releases} - pages.keys())
    known = stack.following.listed_of(stack.upstream_url, unread)
    return {**pages, **{name: Page(name=name) for name, one in known.items() if one.is_gone}}
