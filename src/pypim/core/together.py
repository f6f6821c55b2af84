"""Whether one more requirement can be met together with what some roots ask for, and what contradicts it if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.lenient import ParsedRequirement
from pypim.core.library import Wanted
from pypim.core.resolve import Resolution
from pypim.core.scope import as_wanted
from pypim.core.search import Failed, Search, Start
from pypim.core.solver import Budget

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser
    from pypim.core.closure import FollowOptions, Root, Want

_ASKED = "what is asked for"


class Verdict(msgspec.Struct, frozen=True):
    """What comes of it in some environments."""

    environments: tuple[str, ...]
    causes: tuple[str, ...]
    """The facts that contradict each other, each a sentence without full stop; none where it can be met."""
    is_undecided: bool = False


class Together(Resolution):
    """One such question, driven like any other resolution; `verdicts` once every want has been answered."""

    def __init__(
        self,
        chooser: Chooser,
        follow: FollowOptions,
        constraints: Mapping[NormalizedName, SpecifierSet],
        environments: frozenset[str],
        forced: Iterable[tuple[NormalizedName, SpecifierSet]],
    ) -> None:
        """`environments`: the names of those in question; `forced`: what must be met beside the roots."""
        super().__init__(chooser, follow, constraints)
        self._forced = [_forced(project, specifier) for project, specifier in forced]
        self._mask = sum(1 << n for n, one in enumerate(self.environments) if one.name in environments)
        self.verdicts: list[Verdict] = []

    def start(self, roots: Iterable[Root]) -> list[Want]:
        """Ask for the roots and for what is forced, all at once; the first wants."""
        wanted = [as_wanted(root, root.extras | (self._follow.root_extras or frozenset()), -1) for root in roots]
        wanted += [Wanted(one, one.specifier, -1) for one in self._forced]
        self._spawn(self._try(Start(wanted=tuple(wanted), label=_ASKED)))
        return self.go_on()

    def _try(self, start: Start) -> Generator[list[Want], None, None]:
        mask, budget = self._mask, Budget(self._most_steps)
        while mask:
            alike = mask
            failures: list[Failed] = []
            for library in (*self._scope.libraries, *self._scope.fallbacks):
                outcome = yield from Search(library, start, mask & -mask, alike).run(budget)
                alike &= outcome.alike
                if not isinstance(outcome, Failed):
                    failures = []
                    break
                failures.append(outcome)
            self.verdicts.append(
                Verdict(
                    self._chooser.names(alike),
                    _causes(failures[0]) if failures else (),
                    is_undecided=any(failure.is_undecided for failure in failures),
                )
            )
            mask &= ~alike


def _causes(failure: Failed) -> tuple[str, ...]:
    """Its facts, without what was asked for: that is known."""
    sentences = dict.fromkeys(cause.sentence for cause in failure.causes)
    return tuple(one for one in sentences if not one.startswith(_ASKED)) or tuple(sentences)


def _forced(project: NormalizedName, specifier: SpecifierSet) -> ParsedRequirement:
    text = f"{project}{specifier}"
    return ParsedRequirement(project, frozenset(), specifier, None, None, text, is_repaired=False)
