"""What of an upstream need not be asked for, answered for many projects and files at once from what was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.freshness import Trust
from pypim.core.urls import split_user_info
from pypim.index.details import lacks_details

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import CoreMetadata, DistFile, Page
    from pypim.index.conditional import Belief
    from pypim.ports import Following, MetadataCache, Pages


class KeptFacts:
    """The Known of one upstream below `url`; a page counts only as far as `belief` goes."""

    def __init__(self, url: str, pages: Pages, metadata: MetadataCache, following: Following, belief: Belief) -> None:
        self._root_url = split_user_info(url)[0].rstrip("/") + "/"
        self._pages = pages
        self._metadata = metadata
        self._following = following
        self._belief = belief

    def pages(self, names: Sequence[NormalizedName]) -> dict[NormalizedName, Page]:
        """Those pages that count without asking."""
        if self._belief.trust is Trust.NOTHING:
            return {}
        urls = {f"{self._root_url}{name}/": name for name in names}
        kept = self._pages.kept_pages(list(urls))
        return {
            urls[url]: one.page for url, one in kept.items() if self._belief.counts(one) and not lacks_details(one.page)
        }

    def fresh_until(self, names: Sequence[NormalizedName], *, with_list: bool) -> float:
        """Until when the pages of all of these projects are fresh, and the list of all; 0 where one is not."""
        urls = [f"{self._root_url}{name}/" for name in names]
        until = [self._pages.fresh_until(urls)] if urls else []
        if with_list:
            state = self._following.state(self._root_url)
            until.append(state.fresh_until or 0.0 if state is not None else 0.0)
        return min(until, default=0.0)

    def metadata(self, files: Sequence[DistFile]) -> dict[str, CoreMetadata]:
        """The core metadata that was learned before, by the identity of the file."""
        keys = {file.sha256 or file.url: file.identity for file in files}
        return {keys[key]: metadata for key, metadata in self._metadata.metadata_of(list(keys)).items()}
