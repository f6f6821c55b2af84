"""Which releases the rule of a root takes, once their sizes and metadata have said where they can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.choice import Choice
from pypim.core.closure import WantPage
from pypim.core.exact import find_locked
from pypim.core.filenames import parse_filename
from pypim.core.readings import is_read_apart
from pypim.core.rules import constrained

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pypim.core.candidates import Candidates, Release
    from pypim.core.closure import Root, Want
    from pypim.core.ledger import Edge, Ledger
    from pypim.core.library import Library
    from pypim.core.model import DistFile, Page
    from pypim.core.rules import Rule


class RootChoice:
    """Takes the releases of one root, and tells the ledger what is taken and what is lacking."""

    def __init__(self, root: Root, edge: Edge, mask: int, certain: int, ledger: Ledger) -> None:
        """`mask` are the environments in which the root is asked for, `certain` those where that is certain."""
        self._root = root
        self._edge = edge
        self._mask = mask
        self._certain = certain
        self._ledger = ledger
        self._has_learned = False

    def run(self, library: Library, lenient: Library) -> Generator[list[Want], None, list[tuple[Root, Release, int]]]:
        """(the root with its constrained rule, a release, where); `lenient` is asked where the first has nothing."""
        root = self._root
        yield [WantPage(root.project)]
        page = library.facts.pages[root.project]
        if page is None:
            self._ledger.problem(root.project, self._edge, library.facts.lacks[root.project], self._mask, self._certain)
            return []
        if root.locked is not None:
            yield from self._take_locked(library, page)
            return []
        rule = constrained(root.rule, library.constraint(root.project))
        candidates, taken = yield from self._taken(library, page, rule, self._mask)
        satisfied = _union(taken)
        lacking = self._mask & ~satisfied
        if lacking and (self._has_learned or _is_read_apart(page)):
            _, others = yield from self._taken(lenient, page, rule, lacking)
            satisfied |= _union(others)
            taken += others
        for release, bits in taken:
            self._ledger.choose(release, bits, self._edge, with_yanked=rule.is_pin)
        if lacking := self._mask & ~satisfied:
            # A root may be meant for some of the targets only.
            self._ledger.unsatisfied(candidates, rule, self._edge, lacking, 0 if satisfied else self._certain)
        if rule is not root.rule:
            root = msgspec.structs.replace(root, rule=rule)
        return [(root, release, bits) for release, bits in taken]

    def _take_locked(self, library: Library, page: Page) -> Generator[list[Want], None, None]:
        root = self._root
        assert root.locked is not None, "only a locked root comes here"
        while True:
            sized = library.facts.sizing.page(page)
            found = find_locked(sized, library.chooser.candidates(sized, root.hashes), root.locked)
            wants = library.ask_sizes(root.project, [held.file for held in found.held])
            if not wants:
                break
            yield wants
        self._ledger.take_locked(root.project, found, self._edge, self._mask, self._certain)

    def _taken(
        self, library: Library, page: Page, rule: Rule, mask: int
    ) -> Generator[list[Want], None, tuple[Candidates, list[tuple[Release, int]]]]:
        """What a rule takes, asked again whenever a size or a Requires-Python ruled something out."""
        learned: dict[str, tuple[DistFile, int]] = {}
        while True:
            candidates = self._candidates(library, page)
            for file, allowed in learned.values():
                candidates = candidates.narrowed(file, allowed)
            taken = Choice(candidates, library.chooser.policy).take(rule, mask)
            wants = self._sizes_wanted(library, taken, rule)
            if wants:
                yield wants
                continue
            for release, bits in taken.items():
                yield from library.learn(release, bits, with_yanked=rule.is_pin)
            if not self._learns(library, taken, rule, learned):
                return candidates, list(taken.items())

    def _candidates(self, library: Library, page: Page) -> Candidates:
        if self._root.hashes:
            return library.chooser.candidates(library.facts.sizing.page(page), self._root.hashes)
        return library.candidates(page)

    def _sizes_wanted(self, library: Library, taken: Mapping[Release, int], rule: Rule) -> list[Want]:
        if library.facts.sizing.limit_bytes is None:
            return []
        files = [
            file
            for release, bits in taken.items()
            for file in library.chooser.kept_files(release, bits, with_yanked=rule.is_pin)
        ]
        return library.ask_sizes(self._root.project, files)

    def _learns(
        self, library: Library, taken: Mapping[Release, int], rule: Rule, learned: dict[str, tuple[DistFile, int]]
    ) -> bool:
        """Whether the metadata of a file that was taken rules out an environment, which was not known before."""
        before = len(learned)
        for release, bits in taken.items():
            for candidate, _ in release.installable(bits, with_yanked=rule.is_pin):
                metadata = library.facts.metadata[candidate.identity]
                if metadata is not None:
                    allowed = library.chooser.python_mask(metadata.requires_python)
                    if allowed != library.chooser.everything:
                        learned.setdefault(candidate.identity, (candidate.file, allowed))
        self._has_learned = bool(learned)
        return len(learned) > before


def _union(taken: list[tuple[Release, int]]) -> int:
    found = 0
    for _, bits in taken:
        found |= bits
    return found


def _is_read_apart(page: Page) -> bool:
    """Whether pip and uv may see some file of a page differently."""
    return any(is_read_apart(file, parse_filename(file.filename, page.name)) for file in page.files)
