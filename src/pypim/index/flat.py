"""A flat page of links, or a folder full of files, as an Index (pip's `--find-links`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import ProjectNotFound, UpstreamMalformed, UpstreamUnavailable
from pypim.core.filenames import project_of
from pypim.core.model import Page, ProjectList
from pypim.core.simple_html import parse_links
from pypim.core.urls import split_user_info
from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.ports import Fetcher

_PAGE_LIMIT_BYTES = 128 << 20
_OK = 200
_ABSENT = frozenset({404, 410})


class FlatIndex:
    """One page that links to the files of any number of projects; it is read once, when first asked.

    A folder (a file: URL) is read through the fetcher's listing, which says sizes; hashes stay unknown.
    """

    def __init__(self, name: str, url: str, fetcher: Fetcher) -> None:
        self._name = name
        self._url = split_user_info(url)[0]
        self._fetcher = fetcher
        self._flights = SingleFlight[dict["NormalizedName", Page]]()
        self._known: dict[NormalizedName, Page] | None = None
        self._dropped: tuple[str, ...] = ()

    async def project_list(self) -> ProjectList:
        """The projects that any linked file belongs to; files of which that cannot be told are in `dropped`."""
        pages = await self._read_once()
        return ProjectList(projects=dict.fromkeys(pages), dropped=self._dropped)

    async def project(self, name: NormalizedName) -> Page:
        """The project's files, in the order of the page."""
        pages = await self._read_once()
        if name not in pages:
            raise ProjectNotFound(name, self._url)
        return pages[name]

    async def _read_once(self) -> dict[NormalizedName, Page]:
        if self._known is None:
            self._known = await self._flights.value("page", self._read)
        return self._known

    async def _read(self) -> dict[NormalizedName, Page]:
        fetched = await self._fetcher.fetch(self._url, {"Accept": "text/html"}, limit_bytes=_PAGE_LIMIT_BYTES)
        if fetched.status in _ABSENT:
            hint = "Check the upstream's URL."
            raise UpstreamUnavailable(self._url, "there is no such page or folder", hint=hint)
        if fetched.status != _OK:
            raise UpstreamMalformed(self._url, f"the upstream answered {fetched.status}")
        files, dropped = parse_links(fetched.body, fetched.url)
        if not files:
            # A disk that is not mounted and a page that failed look like this, and nobody mirrors nothing.
            hint = "Check that it is the right page or folder, and that it is mounted."
            raise UpstreamUnavailable(self._url, "no distribution file is listed there", hint=hint)
        by_project, sentences = by_project_name(files)
        self._dropped = (*dropped, *sentences)
        return by_project


def by_project_name(files: Iterable[DistFile]) -> tuple[dict[NormalizedName, Page], tuple[str, ...]]:
    """The pages that linked files make, and a sentence for each file of which the project cannot be told."""
    by_project: dict[NormalizedName, list[DistFile]] = {}
    sentences: list[str] = []
    for file in files:
        project = project_of(file.filename)
        if project is None:
            sentences.append(f"{file.filename}: its project cannot be told from its name")
        else:
            by_project.setdefault(project, []).append(file)
    return {name: Page(name=name, files=tuple(found)) for name, found in by_project.items()}, tuple(sentences)
