"""What a judge says of requirements, and the proof that is made of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from pypim.core.universe import Reading
from pypim.sync.blame import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypim.core.target import Environment


class State(StrEnum):
    """What became of one root release on one environment."""

    INSTALLABLE = "installable"
    FAILS = "fails"
    UNDECIDED = "undecided"  # the budget was spent first, or the judge gave up
    IMPOSSIBLE = "impossible"  # it cannot be installed from the upstream either
    NOT_JUDGED = "not-judged"  # the judge cannot stand for such a machine


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One root release, or one requirements file as a whole, on one environment."""

    root: str
    """The rule or requirement as written."""
    origin: str
    """Where it stands."""
    project: str
    """Empty where it is about all lines of a requirements file, which are installed together."""
    version: str
    """Empty where no release of it is held for that environment."""
    environment: str
    target: str
    state: State
    reading: Reading = Reading.BOTH
    """`"uv"` or `"pip"` where only the one of them accepts all the releases that are needed."""
    reason: str = ""
    """What contradicts itself or is missing, or why it was not judged."""
    cause: Cause | None = None
    """What is to blame, where it fails."""
    explanation: str = ""
    remedy: str = ""
    open_sdists: tuple[str, ...] = ()
    """File names of the sdists of which only a build tells all that they require: it installs if that is no more."""

    @property
    def is_failure(self) -> bool:
        """Whether the upstream can, or may be able to, do what this index cannot."""
        return self.state in {State.FAILS, State.UNDECIDED}


class Opinion(msgspec.Struct, frozen=True):
    """What a judge says; the reason is empty where it can be installed."""

    state: State
    reason: str = ""


class Judge(Protocol):
    """Another resolver, which has the index before it and the constraints."""

    @property
    def name(self) -> str:
        """Which program it is, with its version."""
        ...

    @property
    def reading(self) -> Reading:
        """Whose reading of the standards it has."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of what it says."""
        ...

    async def judge(self, requirements: Sequence[str], environment: Environment) -> Opinion:
        """Whether requirements can be installed together on a machine like that; any number of questions at once."""
        ...
