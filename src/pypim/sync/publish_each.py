"""Publishes some projects of an index at a time: their files, then their pages, and in the end the list of all.

A project that comes has its page before the list names it, and one that goes loses it after the list has ceased to.
While the list may be wrong, nothing is recorded of it; so it is written again after a run that was stopped.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING

from pypim.core import simple_html, simple_json
from pypim.core.simple_lists import html_list, json_list
from pypim.sync.publish import HTML_NAME, JSON_NAME, pages_of, standing_pages

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding, Page
    from pypim.core.selection import Selection
    from pypim.ports import Published, Tree
    from pypim.sync.model import Stack

_AT_ONCE = 500
_NAMES_AT_ONCE = 10_000
_LEAVING = ""
"""In place of the digest of a page that goes."""


class EachPublisher:
    """Keeps one published tree equal to what it is told, project by project."""

    def __init__(self, index: str, tree: Tree, published: Published) -> None:
        self._index = index
        self._tree = tree
        self._published = published

    @property
    def stands(self) -> bool:
        """Whether the tree has a list of projects, in both forms; not so a folder that is new or was emptied."""
        return all(self._tree.read(f"simple/{part}") is not None for part in (HTML_NAME, JSON_NAME))

    def publish(
        self, portions: Mapping[NormalizedName, Selection], holdings: Mapping[str, Holding], *, trusts_record: bool
    ) -> int:
        """Make the pages of these projects show what is held; the number of files written.

        Without `trusts_record` what stands in the tree is read and compared.
        """
        recorded = self._published.page_digests_of(self._index, portions)
        pages: dict[NormalizedName, Page] = {}
        for portion in portions.values():
            pages |= pages_of(portion, holdings)
        changed: dict[str, bytes] = {}
        digests: dict[NormalizedName, str | None] = {}
        for name, page in pages.items():
            html, json = simple_html.render_page(page), simple_json.render_page(page)
            digest = hashlib.sha256(html + json).hexdigest()
            if recorded.get(name) != digest or not trusts_record:
                digests[name] = digest
                changed |= self._differing(name, html, json)
        gone = [name for name in portions if name not in pages and (recorded.get(name) or not trusts_record)]
        if gone or any(not recorded.get(name) for name in digests):
            self._published.keep_list_digest(self._index, None)
        placed = {file.identity for name in digests for one in portions[name].releases for file in one.files}
        self._tree.place(holdings[identity] for identity in placed if identity in holdings)
        self._tree.write(changed)
        self._published.keep_page_digests(self._index, digests | dict.fromkeys(gone, _LEAVING))
        return len(changed)

    def write_list(self) -> int:
        """Write the list where it may be wrong, and take away the pages that it names no more; files written."""
        if self._published.list_digest(self._index) is not None:
            return 0
        written = 0
        digest = hashlib.sha256()
        for path, render in ((HTML_NAME, html_list), (JSON_NAME, json_list)):
            content = bytes(render(self._names()))
            digest.update(content)
            if self._tree.read(f"simple/{path}") != content:
                self._tree.write({f"simple/{path}": content})
                written += 1
        leaving = self._published.leaving(self._index)
        self._tree.remove(f"simple/{name}/{part}" for name in leaving for part in (HTML_NAME, JSON_NAME))
        self._published.keep_page_digests(self._index, dict.fromkeys(leaving))
        self._published.keep_list_digest(self._index, digest.hexdigest())
        return written

    def let_go_of_unknown(self, spared: Container[NormalizedName]) -> None:
        """Let pages go that stand in the tree without a record, as a catalog that was lost has left them."""
        standing = iter(standing_pages(self._tree))
        while batch := list(islice(standing, _NAMES_AT_ONCE)):
            recorded = self._published.page_digests_of(self._index, batch)
            if unknown := [name for name in batch if name not in recorded and name not in spared]:
                self._published.keep_list_digest(self._index, None)
                self._published.keep_page_digests(self._index, dict.fromkeys(unknown, _LEAVING))

    def _names(self) -> Iterator[str]:
        after = ""
        while names := self._published.page_names(self._index, after, _NAMES_AT_ONCE):
            yield from names
            after = names[-1]

    def _differing(self, name: NormalizedName, html: bytes, json: bytes) -> dict[str, bytes]:
        """Those of the two forms of a page that do not already stand in the tree."""
        wanted = {f"simple/{name}/{HTML_NAME}": html, f"simple/{name}/{JSON_NAME}": json}
        return {path: content for path, content in wanted.items() if self._tree.read(path) != content}


def restore(stack: Stack, index: str, publisher: EachPublisher | None) -> int:
    """After a run that was stopped, or where the tree was emptied: show the current generation again, and only that.

    The number of files written.
    """
    written = 0
    if publisher is not None and not publisher.stands:
        written = _publish_anew(stack, index, publisher, _all_names(stack, index))
        stack.published.keep_list_digest(index, None)
        written += publisher.write_list()
    elif publisher is not None and stack.generations.is_interrupted(index):
        stack.published.keep_list_digest(index, None)
        written = _publish_anew(stack, index, publisher, stack.generations.unfinished(index))
    if stack.generations.is_interrupted(index):
        stack.generations.abandon(index)
    return written


def _publish_anew(stack: Stack, index: str, publisher: EachPublisher, names: Iterable[NormalizedName]) -> int:
    written, rest = 0, iter(names)
    while batch := list(islice(rest, _AT_ONCE)):
        portions = {name: stack.generations.portion(index, name) for name in batch}
        written += publisher.publish(portions, holdings_of(stack, portions.values()), trusts_record=False)
    return written


def _all_names(stack: Stack, index: str) -> Iterator[NormalizedName]:
    after = ""
    while names := stack.generations.names(index, after, _NAMES_AT_ONCE):
        yield from names
        after = names[-1]


def holdings_of(stack: Stack, portions: Iterable[Selection]) -> dict[str, Holding]:
    """What is held of the files of some portions, by identity."""
    identities = {file.identity for portion in portions for one in portion.releases for file in one.files}
    return stack.holdings.own_of(identities) if identities else {}
