"""An index whose pages also tell what each project says of itself, from the JSON API of its upstream.

Source: the `info` of `/pypi/<project>/json`. An upstream that has no such document says nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.description import Description, read_description
from pypim.core.model import About
from pypim.index.conditional import ConditionalReader
from pypim.index.details import document_root

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.model import Page, ProjectList
    from pypim.core.records import StoredResponse
    from pypim.index.conditional import Belief
    from pypim.ports import Fetcher, Index, Pages

_LIMIT_BYTES = 256 << 20


class DescribedIndex:
    """The Index of another, with `Page.about`."""

    def __init__(self, index: Index, name: str, root_url: str, fetcher: Fetcher, pages: Pages, belief: Belief) -> None:
        """`name` and `root_url` are those of the upstream."""
        self._index = index
        self._name = name
        self._pages = pages
        self._root_url = document_root(root_url)
        self._is_asked = root_url.startswith("http")
        self._reader = ConditionalReader(name, fetcher, pages, belief, _LIMIT_BYTES)

    async def project_list(self) -> ProjectList:
        """That of the other."""
        return await self._index.project_list()

    async def project(self, name: NormalizedName) -> Page:
        """The page of the other. Raises also UpstreamFault where the document cannot be had just now."""
        page = await self._index.project(name)
        if not self._is_asked:
            return page
        url = f"{self._root_url}{name}/json"
        answer = await self._reader.read(url, "application/json", partial(_parse, url))
        if answer is None:
            return page
        if answer.is_new:
            self._pages.keep_response(self._name, answer.response, None)
        said = answer.value
        licenses = [text.strip() for text in (said.license_expression, said.license) if text]
        return msgspec.structs.replace(page, about=About(classifiers=said.classifiers, licenses=tuple(licenses)))


def _parse(url: str, response: StoredResponse) -> Description:
    return read_description(response.body, url)
