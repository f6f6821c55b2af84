"""The plans that a catalog remembers, also for those who have it open for reading only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from pypim.core.errors import StoreFault
from pypim.core.records import KeptPlan
from pypim.store.database import told_as_damage
from pypim.store.lock import StoreLock
from pypim.store.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pypim.store.database import Database

_decode_inputs = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode


@told_as_damage
class CatalogPlans:
    """The Plans of a catalog. They can be computed again, so a power cut may take the newest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int | None:
        """The number of what is known."""
        row = self._database.row("knowledge")
        return None if row is None else int(row[0])

    def plan(self, index: str) -> KeptPlan | None:
        """What was remembered last."""
        row = self._database.row("plan", (index,))
        if row is None:
            return None
        request, inputs, version, fresh_until, answer = row
        return KeptPlan(
            request=request,
            inputs=_decode_inputs(inputs),
            version=version,
            fresh_until=fresh_until,
            answer=unpack(answer),
        )

    def keep_plan(self, index: str, plan: KeptPlan) -> None:
        """Remember it."""
        inputs = msgspec.json.encode(plan.inputs).decode()
        answer = pack(plan.answer)
        with self._database.transaction(is_durable=False):
            self._database.run("keep_plan", (index, plan.request, inputs, plan.version, plan.fresh_until, answer))


class _Overlay(Protocol):
    @property
    def has_learned(self) -> bool: ...


class LatePlans:
    """The Plans of a catalog that is open for reading only: `open_plans` opens it for as long as keeping one takes.

    `path` is that of the catalog. `overlays` hold what a run has learned and does not keep.
    """

    def __init__(
        self,
        plans: CatalogPlans,
        path: Path,
        open_plans: Callable[[], AbstractContextManager[CatalogPlans]],
        overlays: Sequence[_Overlay],
    ) -> None:
        self._plans = plans
        self._path = path
        self._open = open_plans
        self._overlays = overlays

    def version(self) -> int | None:
        """The number of what is known; None once something was learned that is not kept."""
        return None if any(overlay.has_learned for overlay in self._overlays) else self._plans.version()

    def plan(self, index: str) -> KeptPlan | None:
        """What was remembered last."""
        return self._plans.plan(index)

    def keep_plan(self, index: str, plan: KeptPlan) -> None:
        """Remember it, where nobody else is writing and the store may be written."""
        if not self._path.is_file():
            return  # no store is made for a plan's sake
        try:
            with StoreLock(self._path.parent), self._open() as plans:
                if plans.version() == plan.version:
                    plans.keep_plan(index, plan)
        except StoreFault:
            return  # the next plan is computed as this one was
