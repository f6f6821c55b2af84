"""An ordered list of indexes as one: the first that has a project answers for it.

It fails closed: when a member that comes before fails, so does the group, for what that member would have said
nobody knows; a client that fell through to the next would install somebody else's project of the same name.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pypim.core.errors import NotFound, ProjectNotFound, PypimError
from pypim.core.model import ProjectList
from pypim.core.priority import Answered, Composition, combined_list, compose
from pypim.core.ready import PageIsLong

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, Page
    from pypim.core.patterns import ProjectPatterns
    from pypim.ports import Arriving, Served

_MOST_REMEMBERED_FILES = 10_000
_MOST_REMEMBERED_ROUTES = 200_000
_NAMES_AT_A_TIME = 20_000


class Member(NamedTuple):
    """One index of a group."""

    served: Served
    reserved: Callable[[NormalizedName], bool] | None = None
    """Whether it keeps a name for itself: then no other member ever hears of it. None: it reserves nothing."""
    reserved_by_rule: Callable[[NormalizedName], bool] | None = None
    """The same for projects whose files are taken from all members."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What every member of a group says of a project, the outcome for each asked by itself."""

    project: NormalizedName
    members: tuple[str, ...]
    answers: tuple[Answered | PypimError | None, ...]
    """In the order of the members; None for one that is not asked."""
    is_merged: bool
    reserved_by: tuple[str, ...]


class _Remembered(NamedTuple):
    mark: object
    composition: Composition


class GroupIndex:
    """A Served."""

    def __init__(self, name: str, members: Sequence[Member], merged: ProjectPatterns) -> None:
        """`merged` are the projects whose files are taken from all members."""
        self._name = name
        self._members = tuple(members)
        self._served = {member.served.name: member.served for member in members}
        self._merged = merged
        self._reservers = tuple(n for n, member in enumerate(self._members) if member.reserved is not None)
        self._remembered: OrderedDict[NormalizedName, _Remembered] = OrderedDict()
        self._remembered_files = 0
        self._routes: dict[NormalizedName, tuple[int, ...]] = {}

    @property
    def name(self) -> str:
        """As it is configured."""
        return self._name

    def mark(self, name: NormalizedName | None) -> object:
        """The marks of the members on whom the answer depends.

        Those are the members that were asked when the page was last made, and those whose reservations decide who is
        asked; all of them where that is not known.
        """
        route = None if name is None else self._routes.get(name)
        positions = tuple(range(len(self._members))) if route is None else route
        return positions, tuple([self._members[n].served.mark(name) for n in positions])

    @property
    def has_reservations(self) -> bool:
        """Whether a member reserves names, so that in a group of groups `reserves` is to be asked."""
        return bool(self._reservers)

    def reserves(self, name: NormalizedName) -> bool:
        """Whether a member keeps this name for itself. Raises what a member raises that cannot say."""
        return bool(self._reserving(name))

    def reserves_by_rule(self, name: NormalizedName) -> bool:
        """The same where an outer group takes the project's files from all of its members."""
        return bool(self._reserving(name, is_merged=True))

    async def project(self, name: NormalizedName) -> Page:
        """The page of the first member that has it.

        Raises ProjectNotFound only when every member said so for certain, PageIsLong, and whatever a member raises
        that comes before the one that has it.
        """
        return (await self._composition(name)).page

    async def project_list(self) -> ProjectList:
        """Every project that some member would answer for. Raises what any member raises."""
        lists = []
        for position, member in enumerate(self._members):
            lists.append(await self._without_reserved(position, await member.served.project_list()))
        return combined_list(lists)

    async def content(self, project: NormalizedName, file: DistFile) -> Path | Arriving:
        """The bytes, from the member that lists this very file. Raises NotFound where the page does not list it."""
        return await (await self.owner(project, file)).content(project, file)

    async def metadata_bytes(self, project: NormalizedName, file: DistFile) -> bytes:
        """The `.metadata`, from the member that lists this very file. Raises as `content` does."""
        return await (await self.owner(project, file)).metadata_bytes(project, file)

    async def owner(self, project: NormalizedName, file: DistFile) -> Served:
        """The member whose page lists this very file. Raises NotFound where the group's page does not list it.

        Raises PageIsLong where files of several members are on a page that is long.
        """
        try:
            owner = (await self._composition(project)).owner_of(file)
        except PageIsLong as long:
            if long.index in self._served:  # it has all of the page
                return self._served[long.index]
            raise
        if owner is None:
            raise NotFound(f"{self._name}: the page of {project} does not list {file.filename}")
        return self._served[owner]

    async def survey(self, name: NormalizedName) -> Survey:
        """Ask every member that may hear of the name, also after one has answered; nothing is raised that one raises.

        Raises what a member raises that cannot say whether it reserves the name.
        """
        reserving = self._reserving(name)
        answers: list[Answered | PypimError | None] = []
        for position, member in enumerate(self._members):
            try:
                is_asked = not reserving or position in reserving
                answers.append(await _answer(member.served, name) if is_asked else None)
            except PypimError as error:
                answers.append(error)
        return Survey(
            project=name,
            members=tuple(self._served),
            answers=tuple(answers),
            is_merged=self._merges(name),
            reserved_by=tuple(self._members[n].served.name for n in reserving),
        )

    async def _composition(self, name: NormalizedName) -> Composition:
        remembered = self._remembered.get(name)
        if remembered is not None and remembered.mark == self.mark(name):
            self._remembered.move_to_end(name)
            return remembered.composition
        marks = [member.served.mark(name) for member in self._members]
        reserving = self._reserving(name)
        asked = reserving or tuple(range(len(self._members)))
        is_merged = self._merges(name)
        answers: list[Answered] = []
        long: PageIsLong | None = None
        heard: list[int] = []
        for position in asked:
            heard.append(position)
            try:
                answers.append(await _answer(self._members[position].served, name))
                has_page = answers[-1].page is not None
            except PageIsLong:
                long = PageIsLong(self._name if is_merged else self._members[position].served.name)
                has_page = True
            if has_page and not is_merged:
                break
        route = tuple(sorted({*heard, *self._reservers}))
        self._keep_route(name, route)
        if long is not None:
            raise long
        composition = compose(name, answers, is_merged=is_merged, is_reserved=bool(reserving))
        if composition is None:
            raise ProjectNotFound(name, self._name)
        self._remember(name, _Remembered((route, tuple([marks[n] for n in route])), composition))
        return composition

    def _reserving(self, name: NormalizedName, *, is_merged: bool | None = None) -> tuple[int, ...]:
        """The members that keep this name for themselves: nobody else hears of it."""
        is_merged = self._merges(name) if is_merged is None else is_merged
        found = []
        for position in self._reservers:
            member = self._members[position]
            reserved = member.reserved_by_rule if is_merged else member.reserved
            if reserved is not None and reserved(name):
                found.append(position)
        return tuple(found)

    def _merges(self, name: NormalizedName) -> bool:
        return bool(self._merged) and bool(self._merged.about(name))

    async def _without_reserved(self, position: int, listed: ProjectList) -> ProjectList:
        """Without the names for which this member is never asked."""
        if not set(self._reservers) - {position}:
            return listed
        denied = set()
        for count, name in enumerate(listed.projects, 1):
            reserving = self._reserving(name)
            if reserving and position not in reserving:
                denied.add(name)
            if count % _NAMES_AT_A_TIME == 0:
                await asyncio.sleep(0)  # A list may have a million names; others want to be served meanwhile.
        if not denied:
            return listed
        projects = {name: serial for name, serial in listed.projects.items() if name not in denied}
        return msgspec.structs.replace(listed, projects=projects)

    def _keep_route(self, name: NormalizedName, route: tuple[int, ...]) -> None:
        if len(self._routes) >= _MOST_REMEMBERED_ROUTES:
            self._routes.clear()
        self._routes[name] = route

    def _remember(self, name: NormalizedName, made: _Remembered) -> None:
        """Keep it for the files that will be asked for next; the oldest give way."""
        old = self._remembered.pop(name, None)
        self._remembered_files -= len(old.composition.owners) if old else 0
        self._remembered[name] = made
        self._remembered_files += len(made.composition.owners)
        while self._remembered_files > _MOST_REMEMBERED_FILES or len(self._remembered) > _MOST_REMEMBERED_FILES:
            _, dropped = self._remembered.popitem(last=False)
            self._remembered_files -= len(dropped.composition.owners)


async def _answer(member: Served, name: NormalizedName) -> Answered:
    """What a member says. Raises everything but that it has no such project."""
    try:
        return Answered(member=member.name, page=await member.project(name))
    except ProjectNotFound:
        return Answered(member=member.name, page=None)
