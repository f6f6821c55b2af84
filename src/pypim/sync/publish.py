"""Publishes a selection as a static tree: files first, then each project's pages at once, removal last.

A page never names a file that is not there: only held files are listed, and they are placed before any page.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from packaging.utils import is_normalized_name

from pypim.core import simple_html, simple_json
from pypim.core.model import Page, ProjectList, ProjectStatus
from pypim.core.names import parse_name
from pypim.core.served import held_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, Holding
    from pypim.core.selection import Selection
    from pypim.ports import Published, Reporter, Tree

HTML_NAME = "index.html"
JSON_NAME = "index.v1_json"


def pages_of(selection: Selection, holdings: Mapping[str, Holding]) -> dict[NormalizedName, Page]:
    """The page of every project of a selection, with the files that are held and relative URLs.

    A project that is quarantined keeps an empty page (PEP 792), so that clients see it claimed.
    """
    files: dict[NormalizedName, list[DistFile]] = {}
    for release in selection.releases:
        for file in release.files:
            holding = holdings.get(file.identity)
            if holding is not None:
                files.setdefault(release.project, []).append(held_entry(file, holding))
    pages: dict[NormalizedName, Page] = {}
    for facts in selection.projects:
        listed = files.get(facts.name, [])
        if listed or facts.status is ProjectStatus.QUARANTINED:
            pages[facts.name] = Page(
                name=facts.name, files=tuple(listed), status=facts.status, status_reason=facts.status_reason
            )
    return pages


def standing_pages(tree: Tree) -> list[NormalizedName]:
    """The projects that have a folder in a tree: only what we could have written is ever removed."""
    return [parse_name(name) for name in tree.pages() if is_normalized_name(name)]


def lists_of(names: Iterable[NormalizedName]) -> dict[str, bytes]:
    """The two forms of the list of projects, by their paths in the tree."""
    listing = ProjectList(projects=dict.fromkeys(sorted(names)))
    html, json = simple_html.render_project_list(listing), simple_json.render_project_list(listing)
    return {f"simple/{HTML_NAME}": html, f"simple/{JSON_NAME}": json}


def is_of_others(tree: Tree) -> bool:
    """Whether pages stand in a tree that pypim has not written: the list of projects tells, or else the pages."""
    ours = {path: content.partition(b"<title>")[0].partition(b",")[0] for path, content in lists_of(()).items()}
    places = ["simple", *(f"simple/{name}" for name in tree.pages())]
    for place in places:
        for part in (HTML_NAME, JSON_NAME):
            content = tree.read(f"{place}/{part}")
            if content is not None:
                return not content.startswith(ours[f"simple/{part}"])
    return False


class Publisher:
    """Keeps one published tree equal to the pages it is given, writing only what differs."""

    def __init__(self, index: str, tree: Tree, published: Published, reporter: Reporter) -> None:
        self._index = index
        self._tree = tree
        self._published = published
        self._reporter = reporter

    def publish(
        self,
        pages: Mapping[NormalizedName, Page],
        held: Mapping[NormalizedName, Iterable[Holding]],
        *,
        trusts_record: bool,
    ) -> int:
        """Make the tree show `pages`; the number of files written. `held` are the files that each page names.

        Without `trusts_record` (the last run did not finish) what stands in the tree is read and compared. Projects
        that no longer have a page lose it after the list no longer names them.
        """
        recorded = self._published.page_digests(self._index)
        known = recorded if trusts_record and self._stands(recorded) else {}
        changed: dict[str, bytes] = {}
        digests: dict[NormalizedName, str | None] = {}
        for name, page in pages.items():
            html, json = simple_html.render_page(page), simple_json.render_page(page)
            digest = hashlib.sha256(html + json).hexdigest()
            if known.get(name) != digest:
                digests[name] = digest
                changed |= self._differing(f"simple/{name}/", html, json)
        standing = recorded if known else {*recorded, *standing_pages(self._tree)}
        gone = sorted(name for name in standing if name not in pages)
        if digests or gone or not known:
            self._reporter.stage("publish", total=len(digests) + len(gone))
            lists = {path: text for path, text in lists_of(pages).items() if self._tree.read(path) != text}
            self._tree.place(holding for name in digests for holding in held.get(name, ()))
            self._tree.write(changed)
            self._published.keep_list_digest(self._index, None)  # of another way of publishing, if there is one
            self._tree.write(lists)
            self._tree.remove(f"simple/{name}/{part}" for name in gone for part in (HTML_NAME, JSON_NAME))
            self._published.keep_page_digests(self._index, digests | dict.fromkeys(gone))
            self._reporter.advance(len(digests) + len(gone))
        return len(changed)

    def _stands(self, recorded: Mapping[NormalizedName, str]) -> bool:
        """Whether the list of the tree is the one of the record; it is not in a folder that is new or was emptied."""
        return all(self._tree.read(path) == content for path, content in lists_of(recorded).items())

    def _differing(self, folder: str, html: bytes, json: bytes) -> dict[str, bytes]:
        """Those of the two forms of a page that do not already stand in the tree."""
        wanted = {folder + HTML_NAME: html, folder + JSON_NAME: json}
        return {path: content for path, content in wanted.items() if self._tree.read(path) != content}
