"""The flow of an index whose projects are independent of each other: project by project, many at once.

list → for each project that changed: look → transfer → publish → … → list of projects → remove → report. What is
needed at any moment are the pages of a few projects, however many the index has; what is done stays done, and a
project that fails waits on the to-do while the others go on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from packaging.version import Version

from pypim.core.candidates import Chooser
from pypim.core.errors import PypimError, UpstreamTimeout, UpstreamUnavailable, first_error
from pypim.core.filenames import parse_version
from pypim.core.followed import STALE_PAGE, UNCONFIRMED_ABSENCE, failed
from pypim.core.measures import describe_time
from pypim.core.plan import make_plan
from pypim.core.portions import COMMON
from pypim.core.selection import Selection
from pypim.sync.limits import Limits
from pypim.sync.look import Look, look
from pypim.sync.model import Report
from pypim.sync.publish_each import EachPublisher, holdings_of, restore
from pypim.sync.reclaim import Strays
from pypim.sync.refusing import refuse_lack_of_space
from pypim.sync.remove import note_unlisted, remove_unlisted
from pypim.sync.run import admitted, outcome_of, recorded
from pypim.sync.silent import ByteReporter
from pypim.sync.tallying import PlanSum
from pypim.sync.transfer import Transfer
from pypim.sync.walking import Walker, next_walk, refuse_other_upstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.followed import Followed, ToDo
    from pypim.core.model import Holding
    from pypim.core.plan import Plan, PlannedFile
    from pypim.core.records import Tally, Walk
    from pypim.sync.model import Request, Stack
    from pypim.sync.walking import Visit

_AT_ONCE = 64
"""Projects that are published together at most."""
_FILES_AT_ONCE = 1000
_BATCHES = 2
"""So many are transferred at once, so that one large file does not hold up what comes after it."""
_LOOKS_OF_A_CHOOSER = 5_000
"""It remembers every set of tags that it meets."""
_LIST_SECONDS = 900.0
_FAULTS_IN_A_ROW = 100
"""So many projects may fail one after the other before the upstream counts as lost."""
_MOST_FAULTS = 1000
_OF_PAGES = frozenset({STALE_PAGE, UNCONFIRMED_ABSENCE})
"""Kinds of items on the to-do that whoever judges pages writes and settles."""
_DUE = 0.0
"""When something is to be looked at again that is due, whatever the clock will say."""
_NO_VERSION = Version("0.dev0")


def follows_nothing(request: Request) -> bool:
    """Whether the projects of an index are independent of each other, and found by patterns."""
    return not request.follow.is_followed and bool(request.patterns)


async def sync_each(stack: Stack, request: Request, *, is_dry_run: bool = False) -> Report | None:
    """Make an index hold and show what its request says. None where that is not the way: see `follows_nothing`.

    Raises a PypimError where it cannot, having lost nothing.
    """
    if stack.follows is None or not follows_nothing(request):
        return None
    started, limits = stack.clock.now().timestamp(), Limits(stack, request)
    stack.reporter.stage("list")
    if await stack.follows.update() is None:
        return None  # a list of files, which is never long
    state = stack.following.state(stack.upstream_url)
    assert state is not None, "it was updated"
    if is_dry_run:
        each = Each(stack, request, limits, None, is_dry_run=True)
        await each.go(state)
        return each.report("planned")
    refuse_other_upstream(stack, request)
    run = stack.runs.begin_run("sync", request.index, started)
    try:
        report = await _carry_out(stack, request, limits, state)
    except BaseException as error:
        stack.runs.finish_run(run, stack.clock.now().timestamp(), outcome_of(error), b"{}")
        raise
    return recorded(stack, run, started, report)


async def _carry_out(stack: Stack, request: Request, limits: Limits, state: Followed) -> Report:
    publisher = EachPublisher(request.index, stack.tree, stack.published) if stack.tree is not None else None
    stood = publisher is not None and publisher.stands
    pages_written = restore(stack, request.index, publisher)
    each = Each(stack, request, limits, publisher, is_dry_run=False)
    each.pages_written, each.has_old_tree = pages_written, stood
    try:
        await each.go(state)
    finally:
        each.end()
    each.deleted_files = remove_unlisted(stack, request.index, (), request.on_removal)
    if each.lost is not None:
        raise each.lost
    return each.report("done")


class Each:
    """One run over the projects of an index."""

    def __init__(
        self, stack: Stack, request: Request, limits: Limits, publisher: EachPublisher | None, *, is_dry_run: bool
    ) -> None:
        self._stack = stack
        self._quiet_stack = msgspec.structs.replace(stack, reporter=ByteReporter(stack.reporter))
        self._request = request
        self._limits = limits
        self._publisher = publisher
        self._is_dry_run = is_dry_run
        self._todo = stack.backlog.todo(request.index)
        self._turn = asyncio.Lock()
        self._strays: Strays | None = None
        """What a catalog that was lost, or a run that was killed, has left. Only first walks are worth listing it."""
        self._sum = PlanSum()
        self._looks = 0
        self._chooser = self._new_chooser()
        self._faults_in_a_row = 0
        self._listed_at = stack.clock.now().timestamp()
        self._is_changed = False
        self._fetched_files = self._fetched_bytes = 0
        self._left = ""
        self.pages_written = 0
        self.deleted_files = 0
        self.has_old_tree = False
        """Whether the tree stood before this run: then it may have pages of which a new catalog knows nothing."""
        self.lost: PypimError | None = None
        """Why the run gave up, once it has."""

    # --- the way through the projects -------------------------------------------------------------------------------
    async def go(self, state: Followed) -> None:
        """Look at every project that has to be looked at. Raises StoreFault."""
        now = self._stack.clock.now().timestamp()
        while True:
            walk = next_walk(self._stack, self._request, state)
            walker = Walker(self._stack, self._request, walk, self._todo)
            if not self._is_dry_run:
                self._set_out(walk)
                self._stack.walks.keep_revisits(self._request.index, dict.fromkeys(walker.waiting(now), _DUE))
            self._stack.reporter.stage("projects", total=state.projects if walk and walk.since is None else None)
            await self._through(walker, now)
            reached = self._stack.walks.walk(self._request.index)
            if walk is None or walk.until == state.revision or reached is None or not reached.is_ended:
                return

    def _set_out(self, walk: Walk | None) -> None:
        """Remember the walk; from now on what was chosen as a whole is amended."""
        stack, index = self._stack, self._request.index
        known = stack.walks.walk(index)
        if self._strays is None and (known is None or (known.since is None and not known.is_ended)):
            self._strays = Strays(stack)
        if walk is None:
            return
        stack.findings.keep_finding(index, None)
        stack.walks.keep_walk(index, walk)
        current = stack.generations.current(index)
        if current is not None and not current.is_amended:
            now = stack.clock.now().timestamp()
            stack.generations.finish(stack.generations.amend(index, {COMMON: Selection()}, now), now)

    @property
    def _is_over(self) -> bool:
        return self.lost is not None or self._limits.is_over

    async def _through(self, walker: Walker, now: float) -> None:
        visits = walker.visits(now)
        seen: asyncio.Queue[Look | None] = asyncio.Queue(maxsize=_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                settling = [group.create_task(self._settle_all(seen, walker)) for _ in range(_BATCHES)]
                looking = [group.create_task(self._look_at_all(visits, seen)) for _ in range(self._request.jobs)]
                await asyncio.gather(*looking)
                for _ in settling:
                    await seen.put(None)
        except BaseExceptionGroup as failures:
            raise first_error(failures) from None
        if self._is_over:
            self._left = "what comes after it is left for the next run"
        else:
            self._remember(walker, ())

    async def _look_at_all(self, visits: Iterator[Visit], seen: asyncio.Queue[Look | None]) -> None:
        for visit in visits:
            if self._is_over:
                return
            self._looks += 1
            if self._looks % _LOOKS_OF_A_CHOOSER == 0:
                self._chooser = self._new_chooser()
            await seen.put(await look(self._stack, self._request, self._chooser, visit))

    def _new_chooser(self) -> Chooser:
        return Chooser(self._request.environments, self._request.policy, self._stack.clock.now())

    # --- some projects at a time ------------------------------------------------------------------------------------
    async def _settle_all(self, seen: asyncio.Queue[Look | None], walker: Walker) -> None:
        while (first := await seen.get()) is not None:
            looks, files = [first], _count(first)
            is_last = False
            while len(looks) < _AT_ONCE and files < _FILES_AT_ONCE and not seen.empty():
                more = seen.get_nowait()
                if more is None:
                    is_last = True
                    break
                looks.append(more)
                files += _count(more)
            await self._settle(looks, walker)
            if is_last:
                return

    async def _settle(self, looks: Sequence[Look], walker: Walker) -> None:
        seen = [one for one in looks if one.fault is None]
        holdings = holdings_of(self._stack, [*(one.selection for one in seen), *(one.current for one in seen)])
        plans: dict[NormalizedName, Plan] = {}
        if self._strays is not None and not self._is_dry_run:
            wanted = [planned for one in seen for planned in make_plan(one.selection, one.current, holdings).fetch]
            holdings |= await self._strays.reclaim(wanted)
        for one in seen:
            before = make_plan(one.current, one.current, holdings)
            admitted(holdings, one.selection)
            plans[one.project] = make_plan(one.selection, one.current, holdings)
            self._sum.add(plans[one.project], before)
        if self._is_dry_run:
            self._stack.reporter.advance(len(looks))
            return
        transfer = Transfer(self._quiet_stack, self._request)
        await self._transfer(transfer, plans)
        holdings |= transfer.held
        async with self._turn:
            self._keep(looks, holdings, transfer, walker)
        self._stack.reporter.advance(len(looks))

    async def _transfer(self, transfer: Transfer, plans: dict[NormalizedName, Plan]) -> None:
        fetch = [planned for plan in plans.values() for planned in _newest_first(plan.fetch)]
        if not fetch:
            return
        for plan in plans.values():
            refuse_lack_of_space(self._stack, plan)
        await self._limits.transfer(transfer, fetch)
        self._fetched_files += len(transfer.held)
        self._fetched_bytes += sum(holding.blob.size for holding in transfer.held.values())

    def _keep(self, looks: Sequence[Look], holdings: dict[str, Holding], transfer: Transfer, walker: Walker) -> None:
        """Publish what is complete, or what could be had of it, and remember what is done."""
        failures: dict[NormalizedName, PypimError] = {one.project: one.fault for one in looks if one.fault is not None}
        for fault in transfer.faults:
            failures.setdefault(fault.planned.project, fault.cause)
        portions: dict[NormalizedName, Selection] = {}
        done: list[Look] = []
        for one in looks:
            if one.fault is None:
                is_partial = one.project in failures
                selection = one.selection_after_faults if is_partial else one.selection
                if not is_partial and _lacks(selection, holdings):
                    continue  # the limits came first
                portions[one.project] = selection
            done.append(one)
        current = {one.project: one.current for one in done}
        self._publish(portions, current, holdings)
        self._note(done, failures)
        self._remember(walker, [one.visit for one in done])

    def _publish(
        self,
        portions: dict[NormalizedName, Selection],
        current: dict[NormalizedName, Selection],
        holdings: dict[str, Holding],
    ) -> None:
        stack, index = self._stack, self._request.index
        changed = {name: portion for name, portion in portions.items() if portion != current[name]}
        now = stack.clock.now().timestamp()
        generation = stack.generations.amend(index, changed, now) if changed else None
        removed = [planned for name in changed for planned in make_plan(changed[name], current[name], holdings).removed]
        if removed:
            note_unlisted(stack, index, removed)
        written = self._publisher.publish(portions, holdings, trusts_record=True) if self._publisher else 0
        if generation is not None:
            stack.generations.finish(generation, stack.clock.now().timestamp())
        if generation is not None or written:
            stack.epochs.advance(index)
            self._is_changed = True
        self.pages_written += written
        if self._publisher is not None and now - self._listed_at > _LIST_SECONDS:
            self._listed_at = now
            self.pages_written += self._publisher.write_list()

    def _note(self, done: Sequence[Look], failures: dict[NormalizedName, PypimError]) -> None:
        stack, index, now = self._stack, self._request.index, self._stack.clock.now().timestamp()
        items = []
        for one in done:
            error = failures.get(one.project)
            if error is None:
                self._faults_in_a_row = 0
                continue
            earlier = self._todo.get(one.project)
            if earlier is not None and earlier.required_serial not in {None, one.visit.serial}:
                earlier = msgspec.structs.replace(earlier, first_at=now)  # it has changed since
            items.append(failed(earlier, one.project, (error.code, error.message), now, one.visit.serial))
            self._faults_in_a_row += isinstance(error, UpstreamUnavailable | UpstreamTimeout)
            if self._faults_in_a_row >= _FAULTS_IN_A_ROW:
                self.lost = error
        settled = self._settled(one for one in done if one.project not in failures and one.project in self._todo)
        stack.backlog.keep_todo(index, items)
        stack.backlog.settle(index, settled)
        for name in settled:
            del self._todo[name]
        self._todo |= {item.project: item for item in items}
        # What has failed is on the to-do, durably, and waits there.
        stack.walks.keep_revisits(index, {one.project: one.revisit_at for one in done})

    def _settled(self, done: Iterable[Look]) -> list[NormalizedName]:
        """Those of which nothing is to be done any more: also of their pages, where nothing asks for these."""
        found, asked_for = [], []
        for one in done:
            if not one.visit.roots:
                found.append(one.project)
            elif self._todo[one.project].code not in _OF_PAGES:
                asked_for.append(one.project)
        # Who judges pages may have found another fault meanwhile.
        current = self._stack.backlog.todo(self._request.index) if asked_for else {}
        found += [name for name in asked_for if name not in current or current[name].code not in _OF_PAGES]
        return found

    def _remember(self, walker: Walker, visits: Sequence[Visit]) -> None:
        walk = walker.done(visits)
        if walk is not None and not self._is_dry_run:
            self._stack.walks.keep_walk(self._request.index, walk)

    # --- the end ----------------------------------------------------------------------------------------------------
    def end(self) -> None:
        """Let the list of projects name what has a page now, and tell what was found again."""
        if self._strays is not None:
            self._strays.tell()
            walk = self._stack.walks.walk(self._request.index)
            if self._publisher is not None and self.has_old_tree and walk is not None and walk.is_ended:
                self._publisher.let_go_of_unknown(self._stack.backlog.todo(self._request.index))
        if self._publisher is not None:
            self.pages_written += self._publisher.write_list()

    def report(self, outcome: str) -> Report:
        """What was found and done."""
        stack, index = self._stack, self._request.index
        tally = stack.generations.tally(index)
        problems = stack.generations.problems(index)
        todo = self._todo if self._is_dry_run else stack.backlog.todo(index)
        faults = tuple(_told(item) for item in todo.values() if not item.is_accepted)
        is_changed = bool(self._is_changed or self._fetched_files or self.pages_written or self.deleted_files)
        if outcome == "done":
            outcome = "partial" if problems or faults else "done" if is_changed else "unchanged"
            outcome = "stopped" if self._limits.reason else outcome
        return Report(
            index=index,
            outcome=outcome,
            plan=self._plan(tally),
            problems=problems,
            faults=faults[:_MOST_FAULTS],
            warnings=(f"{self._limits.reason}: {self._left}",) if self._limits.reason else (),
            fetched_files=self._fetched_files,
            fetched_bytes=self._fetched_bytes,
            file_hosts=stack.file_hosts.reports() if stack.file_hosts is not None and self._fetched_files else (),
            pages_written=self.pages_written,
            deleted_files=self.deleted_files,
        )

    def _plan(self, tally: Tally) -> Plan:
        if self._is_dry_run:
            files, size = tally.files + self._sum.added_files, tally.file_bytes + self._sum.added_bytes
            return self._sum.plan(files, size)
        return self._sum.plan(tally.held_files, tally.held_bytes)


def _count(one: Look) -> int:
    return sum(len(release.files) for release in one.selection.releases)


def _newest_first(files: Sequence[PlannedFile]) -> list[PlannedFile]:
    def key(planned: PlannedFile) -> tuple[bool, Version, str]:
        version = parse_version(planned.version)
        return version is not None, version or _NO_VERSION, planned.version

    return sorted(files, key=key, reverse=True)


def _lacks(selection: Selection, holdings: dict[str, Holding]) -> bool:
    return any(file.identity not in holdings for release in selection.releases for file in release.files)


def _told(item: ToDo) -> str:
    """One line of the to-do."""
    tries = "" if item.attempts == 1 else f", tried {item.attempts} times"
    return f"{item.project}: {item.error}{tries}; next try after {describe_time(item.next_at)}"
