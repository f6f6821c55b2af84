"""The complete resolution of every root in every environment, as one selection. It asks, and never fetches.

Each root release is installable from the selection alone wherever it is from all that is known: first the newest of
everything is tried for all roots at once; where that contradicts itself, each root is searched on its own. What must
be built from an sdist brings the requirements of its build, which are resolved by themselves, as installers do.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from pypim.core.attempt import Attempt, attempt_in
from pypim.core.candidates import Chooser
from pypim.core.closure import WantPage, WantSize
from pypim.core.expand import build_requirements
from pypim.core.following import asked_by_backend
from pypim.core.ledger import Edge, Ledger
from pypim.core.library import Facts, Wanted, asks_itself
from pypim.core.model import CoreMetadata, Page
from pypim.core.names import normalize_extra
from pypim.core.outcomes import Outcomes
from pypim.core.root_choice import RootChoice
from pypim.core.scope import Scope, Task, as_wanted
from pypim.core.search import MOST_STEPS, Found, Search, Start
from pypim.core.selection import ProblemKind
from pypim.core.solver import Budget
from pypim.core.target import patch_ends

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from pypim.core.apart import Apart
    from pypim.core.candidates import Release
    from pypim.core.closure import FollowOptions, Root, Want
    from pypim.core.library import Library
    from pypim.core.newest import Key
    from pypim.core.outcomes import Pair
    from pypim.core.selection import Selection
    from pypim.core.target import Environment


class Resolution:
    """One computation. Give it the roots with `start`, then an answer for every want until none is left."""

    def __init__(
        self,
        chooser: Chooser,
        follow: FollowOptions,
        constraints: Mapping[NormalizedName, SpecifierSet] | None = None,
        *,
        most_steps: int = MOST_STEPS,
        least_lines: int = 2,
    ) -> None:
        """`least_lines`: a file of fewer is not looked at as a whole, for its line is a root by itself."""
        chooser = Chooser(patch_ends(chooser.environments), chooser.policy, chooser.now, chooser.reading)
        self._chooser = chooser
        self._follow = follow
        self._most_steps = most_steps
        self._least_lines = least_lines
        self._facts = Facts(chooser.policy.max_file_size_bytes)
        self._scope = Scope(self._facts, chooser, constraints or {}, self._spawn)
        # Neither pip nor uv has constraints apply to builds.
        self._building = Scope(self._facts, chooser, {}, self._spawn) if constraints else self._scope
        self._ledger = Ledger(chooser)
        if self._building is not self._scope:
            self._building.account = self._ledger.open_account("builds")
        self._ready: deque[Generator[list[Want], None, None]] = deque()
        self._waiting: dict[str, list[_Ticket]] = {}
        self._wants: list[Want] = []
        self._tasks: list[Task] = []
        self._built: dict[str, int] = {}
        self._files: dict[str, list[tuple[Root, Wanted]]] = {}
        self._outcomes = Outcomes(chooser, self._facts, self._ledger)
        self.one_sided = self._outcomes.one_sided

    @property
    def environments(self) -> tuple[Environment, ...]:
        """What the masks of `pairs` count: those of the chooser, and some of them once more (see `patch_ends`)."""
        return self._chooser.environments

    @property
    def pairs(self) -> list[Pair]:
        """Every root release, with the environments in which it can be installed, and in which not."""
        return self._outcomes.pairs

    @property
    def apart(self) -> list[Apart]:
        """The files whose lines cannot be installed together, each with the environments."""
        return self._outcomes.apart

    # --- the three calls of a driver --------------------------------------------------------------------------------
    def start(self, roots: Iterable[Root]) -> list[Want]:
        """Ask for the roots; the first wants."""
        for root in roots:
            edge = Edge(origin=root.origin, requirement=root.text)
            certain, open_ = self._chooser.marker_masks(root.marker, frozenset())
            mask = certain | open_
            verdict = self._chooser.policy.project_verdict(root.project, is_dependency=False)
            if not mask:
                self._ledger.warn(f"{root.origin}: {root.text!r} holds in none of the environments")
            elif verdict.is_allowed:
                choice = RootChoice(root, edge, mask, certain if root.is_named else 0, self._ledger)
                self._spawn(self._take_root(choice, self._line_of(root, mask)))
            elif root.is_named:
                # A lock names whatever is needed, too, as a requirement does: to exclude it is no contradiction.
                certain = mask if root.locked is None else 0
                self._ledger.problem(root.project, edge, (ProblemKind.EXCLUDED, verdict.reason), mask, certain)
        return self.go_on()

    def answer(
        self, want: Want, answer: Page | CoreMetadata | int | None, lack: tuple[ProblemKind, str] | None = None
    ) -> list[Want]:
        """Answer one want; None where there is nothing, with `lack`: the kind and a sentence. The wants that follow."""
        kind, reason = lack or (ProblemKind.MISSING, "nothing is known of it")
        if isinstance(want, WantPage):
            assert answer is None or isinstance(answer, Page)
            self._facts.pages[want.project] = answer
            if answer is None:
                self._facts.lacks[want.project] = (kind, reason)
        elif isinstance(want, WantSize):
            assert answer is None or isinstance(answer, int)
            self._facts.sizing.learn(want.project, want.file, answer)
        else:
            assert answer is None or isinstance(answer, CoreMetadata)
            self._facts.metadata[want.identity] = answer
            if answer is None:
                self._ledger.doubt(want.file, f"its requirements are not known: {reason}")
            else:
                self._ledger.learned(want.file, answer)
        for ticket in self._waiting.pop(_name_of(want), ()):
            ticket.missing -= 1
            if not ticket.missing:
                self._ready.append(ticket.task)
        return self.go_on()

    def pages(self) -> dict[NormalizedName, Page]:
        """Every page that was given, with the sizes that were learned."""
        sizing = self._facts.sizing
        return {name: sizing.page(page) for name, page in self._facts.pages.items() if page is not None}

    def selection(self) -> Selection:
        """What was chosen, once every want has been answered."""
        assert not self._waiting, "wants are still open"
        assert not self._ready, "a search has only paused"
        self._outcomes.tell_failures()
        self._outcomes.keep_foreign(self._scope.libraries[0])
        selection = self._ledger.selection(page for page in self._facts.pages.values() if page is not None)
        sizing = self._facts.sizing
        if sizing.limit_bytes is None:
            return selection
        releases = tuple(
            msgspec.structs.replace(release, files=sizing.files(release.project, release.files))
            for release in selection.releases
        )
        return msgspec.structs.replace(selection, releases=releases)

    # --- running tasks ----------------------------------------------------------------------------------------------
    def _spawn(self, task: Generator[list[Want], None, None]) -> None:
        self._ready.append(task)

    @property
    def is_busy(self) -> bool:
        """Whether a long search has paused, so that the driver may look about before it calls `go_on`."""
        return bool(self._ready)

    def go_on(self) -> list[Want]:
        """Go on with everything that can, up to a pause; what is wanted next."""
        is_paused = False
        while not is_paused:
            while self._ready and not is_paused:
                is_paused = self._go_on(self._ready.popleft())
            if is_paused or self._waiting or not (self._tasks or self._files or self._outcomes.to_build):
                break
            # Nothing is open: what was taken is judged, and then what of it must be built.
            if self._tasks or self._files:
                self._judge()
            else:
                self._take_builds()
        wants, self._wants = self._wants, []
        return wants

    def _go_on(self, task: Generator[list[Want], None, None]) -> bool:
        """Run a task until it wants what is not known; whether it paused."""
        for wants in task:
            if not wants:
                self._ready.appendleft(task)
                return True
            missing = {_name_of(want): want for want in wants if not self._facts.is_known(want)}
            if missing:
                ticket = _Ticket(task, len(missing))
                for name, want in missing.items():
                    if name not in self._waiting:
                        self._wants.append(want)
                    self._waiting.setdefault(name, []).append(ticket)
                break
        return False

    # --- roots ------------------------------------------------------------------------------------------------------
    def _take_root(self, choice: RootChoice, line: Wanted | None) -> Generator[list[Want], None, None]:
        taken = yield from choice.run(self._scope.offered, self._scope.libraries[1])
        if line is not None:
            self._scope.newest.demand(line, line.mask)
        for root, release, mask in taken:
            self._outcomes.note_to_build(release, mask)
            extras = root.extras | self._root_extras(release, mask, with_yanked=root.rule.is_pin)
            task = Task(root=root, release=release, mask=mask, extras=extras, scope=self._scope)
            self._note_root(task)
            self._outcomes.note_excluded(release, mask, extras)
            self._begin(task)

    def _root_extras(self, release: Release, mask: int, *, with_yanked: bool) -> frozenset[NormalizedName]:
        if self._follow.root_extras is not None:
            return self._follow.root_extras
        found: set[NormalizedName] = set()
        for candidate, _ in release.installable(mask, with_yanked=with_yanked):
            metadata = self._facts.metadata[candidate.identity]
            found.update(map(normalize_extra, metadata.provides_extra) if metadata else ())
        return frozenset(found)

    def _note_root(self, task: Task) -> None:
        """Warn of what a root's release asks for and no index can give."""
        release = task.release
        for candidate, _ in release.installable(task.mask, with_yanked=task.with_yanked):
            metadata = self._facts.metadata[candidate.identity]
            for text in metadata.requires_dist if metadata else ():
                if "@" in text:
                    self._ledger.warn(f"{release.project} {release.text}: {text!r} points outside of any index")
            self._outcomes.note_extras(release, metadata, task.root.extras if task.root else ())

    def _begin(self, task: Task) -> None:
        """It is judged once all that it needs is known."""
        self._tasks.append(task)
        if task.root is None or not task.root.file:  # else it was demanded as one of the lines of that file
            self._demand(task)

    def _demand(self, task: Task) -> None:
        """Demand the newest of everything that it needs."""
        for one in task.outward(task.scope.libraries[0]):
            task.scope.newest.demand(one, one.mask & task.mask)

    # --- files that are installed as one ----------------------------------------------------------------------------
    def _line_of(self, root: Root, mask: int) -> Wanted | None:
        """What a root asks for beside the others of its file; None where it stands for itself."""
        if not root.file or root.locked is not None:
            return None
        asked = as_wanted(root, root.extras, mask)
        wanted = Wanted(asked.requirement, self._scope.libraries[0].constrained(root.project, asked.specifier), mask)
        self._files.setdefault(root.file, []).append((root, wanted))
        return wanted

    def _judge_files(self) -> None:
        """Where the newest of everything does not fit the lines of a file together, search for what does."""
        files, self._files = self._files, {}
        for file, lines in files.items():
            if len(lines) >= self._least_lines:
                wanted = [one for _, one in lines]
                mask = self._chooser.everything
                bad = mask & ~self._scope.newest.holds_together(wanted, mask)
                self._spawn(self._join(file, lines, bad))

    def _join(self, file: str, lines: list[tuple[Root, Wanted]], mask: int) -> Generator[list[Want], None, None]:
        budget = Budget(self._most_steps)
        while mask:
            if joined := (yield from self._join_rest(file, lines, mask, budget)):
                mask &= ~joined
                continue
            start = Start(wanted=tuple(one for _, one in lines), label=file)
            attempt = yield from attempt_in(self._scope, start, mask, budget)
            for library, outcome in attempt.found:
                self._outcomes.use_together(library, [root for root, _ in lines], outcome, attempt.alike)
            self._outcomes.tell_joined(file, attempt)
            mask &= ~attempt.alike
            budget.renew()

    def _join_rest(
        self, file: str, lines: list[tuple[Root, Wanted]], mask: int, budget: Budget
    ) -> Generator[list[Want], None, int]:
        """Leave the lines alone that have the newest of everything, and fit the others to them; where that works.

        Of very many lines most fit together as they are, and to search through all that they need takes long.
        """
        newest, environment = self._scope.newest, mask & -mask
        apart = {root.project for root, one in lines if not newest.holds_together((one,), environment)}
        rest = [line for line in lines if line[0].project in apart]
        good = [one for root, one in lines if root.project not in apart]
        mask = environment | newest.holds_together(good, mask & ~environment)
        settled = newest.settled((one, one.mask & mask) for one in good)
        start = Start(wanted=tuple(one for _, one in rest), label=file, settled=settled)
        outcome = yield from Search(self._scope.libraries[0], start, environment, mask).run(budget)
        if not isinstance(outcome, Found):
            return 0
        self._outcomes.use_together(self._scope.libraries[0], [root for root, _ in rest], outcome, outcome.alike)
        return outcome.alike

    # --- builds -----------------------------------------------------------------------------------------------------
    def _take_builds(self) -> None:
        """Begin the builds of all that was chosen and that some environment can install from an sdist only."""
        chosen, self._outcomes.to_build = self._outcomes.to_build, {}
        if not self._follow.is_build_followed:
            return
        for release, mask in chosen.items():
            for candidate, bits in release.installable(mask, with_yanked=True):
                metadata = self._facts.metadata.get(candidate.identity)
                known = self._built.get(candidate.identity, 0)
                if candidate.is_sdist and metadata is not None and bits & ~known:
                    self._built[candidate.identity] = known | bits
                    rows = build_requirements(metadata, bits & ~known, self._chooser)
                    needed = tuple(Wanted(one, one.specifier, holds | open_) for one, holds, open_ in rows)
                    self._begin(Task(release=release, mask=bits & ~known, needed=needed, scope=self._building))

    def _take_what_backend_asks(self, task: Task, releases: Iterable[Release], mask: int) -> None:
        """Old build back-ends ask for more once they run (PEP 517): begin the build again with that."""
        for release in releases:
            asked = asked_by_backend(release)
            if task.root is None and asked is not None and all(one.requirement != asked for one in task.needed):
                needed = (*task.needed, Wanted(asked, asked.specifier, mask))
                self._begin(msgspec.structs.replace(task, mask=mask, needed=needed))

    # --- resolving --------------------------------------------------------------------------------------------------
    def _judge(self) -> None:
        """Take the newest of everything where that fits together, and begin a search everywhere else.

        A release that is itself the newest is a part of that; what another one needs must be demanded first.
        """
        tasks = [(task, task.is_newest) for task in self._tasks]
        for task, is_newest in tasks:
            if not is_newest:
                self._demand(task)
        if self._ready:
            return
        self._tasks = []
        self._scope.newest.judge()
        self._judge_files()
        for scope in dict.fromkeys(task.scope for task, _ in tasks):
            if scope is not self._scope:
                scope.newest.judge()
            found = (self._judge_one(task, is_newest=is_newest) for task, is_newest in tasks if task.scope is scope)
            self._outcomes.use_newest(scope, [key for keys in found for key in keys])

    def _judge_one(self, task: Task, *, is_newest: bool) -> list[tuple[Key, int]]:
        """What it leads to in the newest of everything, where that resolves it."""
        newest = task.scope.newest
        if is_newest:
            mask = newest.good(task.keys, task.mask)
            keys = [(key, mask) for key in task.keys] if mask else []
        else:
            wanted = task.wanted(task.scope.libraries[0])
            mask = newest.consistent(task.release, wanted, task.mask, is_build=task.root is None)
            outward = [one for one in wanted if task.root is None or not asks_itself(one, task.release)]
            good = [(one, one.mask & mask) for one in outward if one.mask & mask]
            for one, bits in good:
                self._outcomes.choose_newest(task.scope, task.release, one, bits, is_build=task.root is None)
                for release, where in newest.releases(one.requirement.name, bits):
                    self._take_what_backend_asks(task, (release,), where)
            keys = [*newest.keys(good)]
        if mask:
            self._outcomes.pair(task, mask)
        if task.mask & ~mask:
            self._spawn(self._search(task, task.mask & ~mask))
        return keys

    def _search(self, task: Task, mask: int) -> Generator[list[Want], None, None]:
        """Resolve in each environment of a mask, those that cannot be told apart together."""
        budget = Budget(self._most_steps)  # once it is spent, it is for all environments and readings
        while mask:
            attempt = yield from attempt_in(task.scope, task.start(), mask, budget)
            if not attempt.is_for_both:
                attempt = yield from self._step_back(task, attempt, budget)
            self._use(task, attempt.found, attempt.alike)
            mask &= ~attempt.alike
            budget.renew()

    def _use(self, task: Task, found: Iterable[tuple[Library, Found]], mask: int) -> None:
        for library, outcome in found:
            chosen = self._outcomes.use(library, task, outcome, mask)
            self._take_what_backend_asks(task, chosen, mask)

    def _step_back(self, task: Task, attempt: Attempt, budget: Budget) -> Generator[list[Want], None, Attempt]:
        """Where an installer cannot have the release that a root took, it goes on to an older one: hold that too."""
        root, others = task.root, Attempt([], [], attempt.alike)
        if root is not None and task.may_step_back:
            start = Start(wanted=(as_wanted(root, task.extras, attempt.alike),), label=root.origin)
            others = yield from attempt_in(task.scope, start, attempt.alike, budget)
        if not attempt.found:
            self._outcomes.fail(task, attempt.failures, others.alike, has_older=bool(others.found))
        known = {library for library, _ in attempt.found}
        older: dict[Release, None] = {}
        for library, outcome in others.found:
            universe = library.universe(task.release.project)
            if universe is not None and library not in known:
                older[universe.releases[outcome.releases[task.release.project]]] = None
        for release in older if root is not None else ():
            assert root is not None, "nothing else steps back"
            yield from self._scope.libraries[0].learn(release, others.alike, with_yanked=False)
            self._outcomes.choose_root(root, release, others.alike)
            self._begin(msgspec.structs.replace(task, release=release, mask=others.alike, is_stand_in=True))
        return Attempt(attempt.found, attempt.failures, others.alike)


class _Ticket:
    """A task that waits for several answers."""

    __slots__ = ("missing", "task")

    def __init__(self, task: Generator[list[Want], None, None], missing: int) -> None:
        self.task = task
        self.missing = missing


def _name_of(want: Want) -> str:
    if isinstance(want, WantPage):
        return want.project  # which no identity is
    return f"size of {want.file.identity}" if isinstance(want, WantSize) else want.identity
