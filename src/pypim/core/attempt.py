"""One attempt to resolve: as pip and uv both read the standards, or else as each of them does, within one budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.search import Failed, Found, Search
from pypim.core.universe import Reading

if TYPE_CHECKING:
    from collections.abc import Generator

    from pypim.core.closure import Want
    from pypim.core.library import Library
    from pypim.core.scope import Scope
    from pypim.core.search import Start
    from pypim.core.solver import Budget


class Attempt(msgspec.Struct, frozen=True):
    """What came of it: a resolution in the readings that have one, or why there is none, and for whom."""

    found: list[tuple[Library, Found]]
    failures: list[Failed]
    alike: int

    @property
    def is_for_both(self) -> bool:
        """Whether pip and uv can each install it."""
        return len(self.found) > 1 or any(library.reading is Reading.BOTH for library, _ in self.found)


def attempt_in(scope: Scope, start: Start, mask: int, budget: Budget) -> Generator[list[Want], None, Attempt]:
    """Resolve in the first environment of a mask.

    What another reading might decide otherwise is tried in each of the others, as long as the budget lasts. Who has
    none then gets one without what is open.
    """
    environment, alike = mask & -mask, mask
    found: list[tuple[Library, Found]] = []
    failures: list[Failed] = []
    for both, *each in (scope.libraries, scope.fallbacks):
        if failures and (failures[-1].is_undecided or not scope.libraries[0].has_met_open):
            break
        readings = {library.reading for library, _ in found}
        for library in (both, *each) if not found else [one for one in each if one.reading not in readings]:
            outcome = yield from _run(library, start, (environment, alike), budget)
            alike &= outcome.alike
            if isinstance(outcome, Found):
                found.append((library, outcome))
            else:
                failures.append(outcome)
                if outcome.is_undecided:
                    break
            if library is both and (found or not failures[-1].is_disputed):
                break
        if Attempt(found, failures, alike).is_for_both:
            break
    return Attempt(found, failures, alike)


def _run(
    library: Library, start: Start, environments: tuple[int, int], budget: Budget
) -> Generator[list[Want], None, Found | Failed]:
    """Search in one environment, and for all (a mask) that the outcome may also be for."""
    environment, others = environments
    outcome = yield from Search(library, start, environment, others).run(budget)
    if isinstance(outcome, Found) or outcome.is_undecided or library.reading is not Reading.PIP:
        return outcome
    search = Search(library, start, environment, outcome.alike, is_strict=False)
    return (yield from search.run(budget))
