"""An upstream of which nobody said what it is: a Simple API, or one page of links to files (pip's `--find-links`).

It is asked as a Simple API. Only where that has not answered for any project yet is the page at the URL itself looked
at, and what it links to counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import NotAuthorised, ProjectNotFound, Refused, UpstreamFault
from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.followed import Updated
    from pypim.core.model import Page, ProjectList
    from pypim.index.remote import RemoteIndex
    from pypim.ports import Capabilities, Index

CAPABILITY = "simple-api"
_FILE_ENDINGS = ("-whl", "-tar-gz", "-zip", "-tar-bz2", "-tgz", "-egg")
"""Of file names that were normalised as if they were names of projects."""


class UndecidedIndex:
    """Two ways to read one URL; `upstream` is that URL, under which it is remembered that the first way works."""

    def __init__(self, simple: RemoteIndex, flat: Index, upstream: str, capabilities: Capabilities) -> None:
        self._simple = simple
        self._flat = flat
        self._upstream = upstream
        self._capabilities = capabilities
        self._flights = SingleFlight[bool]()
        self._has_links: bool | None = None
        self._is_flat = False

    async def project_list(self) -> ProjectList:
        """Every project. A page of links reads like a list of projects with odd names, and is recognised by them."""
        if self._is_flat:
            return await self._flat.project_list()
        try:
            listed = await self._simple.project_list()
        except UpstreamFault:
            if not await self._links_to_files():
                raise
            return await self._flat.project_list()
        if looks_flat(listed.projects) and await self._links_to_files():
            return await self._flat.project_list()
        return listed

    async def update(self, *, accepts_removals: bool = False) -> Updated | None:
        """Learn what has changed; None where it proves to be links to files."""
        if self._is_flat:
            return None
        try:
            found = await self._simple.update(accepts_removals=accepts_removals)
        except UpstreamFault:
            if not await self._links_to_files():
                raise
            return None
        return None if looks_flat(self._simple.some_names()) and await self._links_to_files() else found

    async def ask(self, names: Sequence[NormalizedName]) -> Updated:
        """Ask for the pages of some projects of the Simple API."""
        return await self._simple.ask(names)

    async def project(self, name: NormalizedName) -> Page:
        """One project's page, of the Simple API where that has one."""
        if self._is_flat:
            return await self._flat.project(name)
        try:
            page = await self._simple.project(name)
        except (ProjectNotFound, NotAuthorised):  # some hosts say 403 of what is not there
            if self._is_known_to_be_simple() or not await self._links_to_files():
                raise
            page = await self._flat.project(name)
            self._is_flat = not self._is_known_to_be_simple()
        else:
            self._remember_simple()
        return page

    def _is_known_to_be_simple(self) -> bool:
        return self._capabilities.capability(self._upstream, CAPABILITY) is True

    def _remember_simple(self) -> None:
        if not self._is_known_to_be_simple():
            self._capabilities.keep_capability(self._upstream, CAPABILITY, is_offered=True)

    async def _links_to_files(self) -> bool:
        """Whether the page at the URL does; it is looked at once a run."""
        if self._has_links is None:
            self._has_links = await self._flights.value("links", self._look)
        return self._has_links

    async def _look(self) -> bool:
        try:
            await self._flat.project_list()
        except (UpstreamFault, Refused):
            return False
        return True


def looks_flat(names: Collection[NormalizedName]) -> bool:
    """Whether most of what was read as names of projects are names of files."""
    odd = sum(name.endswith(_FILE_ENDINGS) for name in names)
    return 2 * odd > len(names)
