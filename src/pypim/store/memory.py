"""The store's ports in memory: twins that the same contract suites verify, and overlays that keep what they are told.

An overlay reads what it does not know from another port and never writes to it: `plan` works on overlays, so that it
changes nothing of what is known.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import NotFound
from pypim.core.records import KeptPage, Run, outline_of
from pypim.store.catalog_pages import CAPABILITY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import CoreMetadata, Holding, Page
    from pypim.core.records import Finding, KeptOutline, KeptPlan, Removal, StoredResponse
    from pypim.ports import Capabilities, MetadataCache, Pages, Sizes


class MemoryPages:
    """Pages in a dictionary; `decoded` shows what the decoded tables would have."""

    def __init__(self) -> None:
        self._responses: dict[str, StoredResponse] = {}
        self.decoded: dict[str, tuple[str, Page]] = {}

    def response(self, url: str) -> StoredResponse | None:
        """The newest answer kept for that URL."""
        return self._responses.get(url)

    def outline(self, url: str) -> KeptOutline | None:
        """What is known of it without its body."""
        known = self.response(url)
        return None if known is None else outline_of(known)

    def keep_response(self, upstream: str, response: StoredResponse, decoded: Page | None) -> None:
        """Keep an answer in place of any older one."""
        self._responses[response.url] = response
        self.decoded.pop(response.url, None)
        if decoded is not None:
            self.decoded[response.url] = (upstream, decoded)

    def kept_pages(self, urls: Sequence[str]) -> dict[str, KeptPage]:
        """What those of many answers decoded to that can be had without decoding them again."""
        found: dict[str, KeptPage] = {}
        for url in urls:
            one = self._responses.get(url)
            if one is not None and url in self.decoded:
                found[url] = KeptPage(self.decoded[url][1], one.fetched_at, one.fresh_until)
        return found

    def fresh_until(self, urls: Sequence[str]) -> float:
        """Until when the answers of all of these URLs are fresh; 0 where one is not kept, or never is."""
        found = [self.response(url) for url in urls]
        return min((one.fresh_until or 0.0 if one is not None else 0.0 for one in found), default=0.0)

    def last_serial(self, root_url: str) -> int | None:
        """The highest serial that any answer from below that URL told."""
        below = [response for url, response in self._responses.items() if url.startswith(root_url)]
        told = [*(response.serial for response in below), *(page.last_serial for page in self._decoded(below))]
        return max((serial for serial in told if serial is not None), default=None)

    def _decoded(self, responses: Iterable[StoredResponse]) -> Iterator[Page]:
        return (self.decoded[one.url][1] for one in responses if one.url in self.decoded)

    def touch_response(self, url: str, fetched_at: float, fresh_until: float | None = None) -> None:
        """The kept answer was found to be still valid at that time."""
        if known := self.response(url):
            self._responses[url] = msgspec.structs.replace(known, fetched_at=fetched_at, fresh_until=fresh_until)


class OverlayPages(MemoryPages):
    """Pages over other pages, which stay as they are."""

    def __init__(self, read: Pages, *, remembers: bool = True) -> None:
        """Without `remembers` nothing stays in memory either: each of very many pages is needed once."""
        super().__init__()
        self._read = read
        self._remembers = remembers
        self._has_forgotten = False

    def keep_response(self, upstream: str, response: StoredResponse, decoded: Page | None) -> None:
        """Keep an answer here, in place of any older one."""
        if self._remembers:
            super().keep_response(upstream, response, decoded)
        else:
            self._has_forgotten = True

    def response(self, url: str) -> StoredResponse | None:
        """What was kept here, else what the other has."""
        return super().response(url) or self._read.response(url)

    def fresh_until(self, urls: Sequence[str]) -> float:
        """Until when the answers of all of these URLs are fresh, of both together."""
        own = [url for url in urls if url in self._responses]
        rest = [url for url in urls if url not in self._responses]
        return min([*([super().fresh_until(own)] if own else []), *([self._read.fresh_until(rest)] if rest else [])])

    @property
    def has_learned(self) -> bool:
        """Whether anything was kept here."""
        return self._has_forgotten or bool(self._responses)

    def kept_pages(self, urls: Sequence[str]) -> dict[str, KeptPage]:
        """Where an answer was kept here, it alone counts."""
        elsewhere = [url for url in urls if url not in self._responses]
        return {**self._read.kept_pages(elsewhere), **super().kept_pages(urls)}

    def last_serial(self, root_url: str) -> int | None:
        """The higher one of both."""
        told = (super().last_serial(root_url), self._read.last_serial(root_url))
        return max((serial for serial in told if serial is not None), default=None)


class MemoryMetadataCache:
    """A MetadataCache in a dictionary."""

    def __init__(self) -> None:
        self._known: dict[str, CoreMetadata] = {}
        self._checked: set[str] = set()

    def metadata(self, key: str) -> CoreMetadata | None:
        """What is known of that file."""
        return self._known.get(key)

    def metadata_of(self, keys: Sequence[str]) -> dict[str, CoreMetadata]:
        """What is known of many files at once."""
        return {key: self._known[key] for key in keys if key in self._known}

    def keep_metadata(
        self,
        key: str,
        metadata: CoreMetadata,
        body: bytes | None,  # noqa: ARG002 - the port's
        *,
        is_checked: bool = False,
    ) -> None:
        """Remember it; nobody reads the bytes through this port."""
        if is_checked:
            self._checked.add(key)
        if is_checked or key not in self._checked:
            self._known[key] = metadata

    def keep_checked(self, learned: Sequence[tuple[str, CoreMetadata, bytes]]) -> None:
        """The same of many files whose bytes were checked."""
        for key, metadata, body in learned:
            self.keep_metadata(key, metadata, body, is_checked=True)


class OverlayMetadataCache(MemoryMetadataCache):
    """A MetadataCache over another, which stays as it is."""

    def __init__(self, read: MetadataCache) -> None:
        super().__init__()
        self._read = read

    @property
    def has_learned(self) -> bool:
        """Whether anything was kept here."""
        return bool(self._known)

    def metadata(self, key: str) -> CoreMetadata | None:
        """What was kept here, else what the other knows."""
        return super().metadata(key) or self._read.metadata(key)

    def metadata_of(self, keys: Sequence[str]) -> dict[str, CoreMetadata]:
        """What was kept here, else what the other knows."""
        return {**self._read.metadata_of(keys), **super().metadata_of(keys)}


class MemorySizes:
    """Sizes in a dictionary."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def size(self, sha256: str) -> int | None:
        """What is known of that file."""
        return self._known.get(sha256)

    def keep_size(self, sha256: str, size: int) -> None:
        """Remember it."""
        self._known[sha256] = size


class OverlaySizes(MemorySizes):
    """Sizes over others, which stay as they are."""

    def __init__(self, read: Sizes) -> None:
        super().__init__()
        self._read = read

    @property
    def has_learned(self) -> bool:
        """Whether anything was kept here."""
        return bool(self._known)

    def size(self, sha256: str) -> int | None:
        """What was kept here, else what the other knows."""
        own = super().size(sha256)
        return self._read.size(sha256) if own is None else own


class MemoryCapabilities:
    """Capabilities in a dictionary."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now` gives seconds since the epoch."""
        self._now = now
        self._found: dict[tuple[str, str], tuple[bool, float]] = {}

    def capability(self, upstream: str, name: str) -> bool | None:
        """What was found not too long ago."""
        is_offered, found_at = self._found.get((upstream, name), (False, float("-inf")))
        return is_offered if 0 <= self._now() - found_at <= CAPABILITY_SECONDS else None

    def keep_capability(self, upstream: str, name: str, *, is_offered: bool) -> None:
        """Remember the answer, with the time."""
        self._found[upstream, name] = (is_offered, self._now())


class OverlayCapabilities(MemoryCapabilities):
    """Capabilities over others, which stay as they are."""

    def __init__(self, read: Capabilities, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self._read = read

    @property
    def has_learned(self) -> bool:
        """Whether anything was kept here."""
        return bool(self._found)

    def capability(self, upstream: str, name: str) -> bool | None:
        """What was found here, else what the other knows."""
        own = super().capability(upstream, name)
        return self._read.capability(upstream, name) if own is None else own


class MemoryHoldings:
    """Holdings in a dictionary."""

    def __init__(self) -> None:
        self._held: dict[str, Holding] = {}

    def holdings(self) -> list[tuple[str, Holding]]:
        """Every (identity, holding), by identity."""
        return sorted(self._held.items(), key=lambda item: item[0])

    def holdings_after(self, identity: str, most: int) -> list[tuple[str, Holding]]:
        """So many of them at most, after one."""
        return [one for one in self.holdings() if one[0] > identity][:most]

    def holdings_of(self, identities: Iterable[str]) -> dict[str, Holding]:
        """Those of some identities."""
        return {identity: self._held[identity] for identity in identities if identity in self._held}

    def own(self) -> list[tuple[str, Holding]]:
        """All: these are of one index."""
        return self.holdings()

    def own_of(self, identities: Iterable[str]) -> dict[str, Holding]:
        """Those of some identities."""
        return self.holdings_of(identities)

    def beside(self, held: Iterable[Holding]) -> dict[str, Holding]:
        """Every record with the file name of one of these."""
        names = {holding.filename for holding in held}
        return {identity: holding for identity, holding in self._held.items() if holding.filename in names}

    def record(self, held: Iterable[tuple[str, NormalizedName, Holding]]) -> None:
        """All rows or, when the iterable raises, none."""
        self._held.update({identity: holding for identity, _, holding in held})

    def forget(self, identities: Iterable[str]) -> None:
        """Remove rows."""
        for identity in list(identities):
            self._held.pop(identity, None)


class MemoryPublished:
    """Published in dictionaries."""

    def __init__(self) -> None:
        self._digests: dict[str, dict[NormalizedName, str]] = {}
        self._removals: dict[str, dict[str, Removal]] = {}
        self._lists: dict[str, str] = {}

    def page_digests(self, index: str) -> dict[NormalizedName, str]:
        """Project → digest of the page as it was last written."""
        return dict(self._digests.get(index, {}))

    def keep_page_digests(self, index: str, digests: Mapping[NormalizedName, str | None]) -> None:
        """Record pages that were written (None: removed)."""
        merged = {**self._digests.get(index, {}), **digests}
        self._digests[index] = {name: digest for name, digest in merged.items() if digest is not None}

    def page_digests_of(self, index: str, names: Iterable[NormalizedName]) -> dict[NormalizedName, str]:
        """Those of some projects."""
        known = self._digests.get(index, {})
        return {name: known[name] for name in names if name in known}

    def page_names(self, index: str, after: str, most: int) -> list[NormalizedName]:
        """The projects after a name that have a page and keep it, so many at most, in order."""
        return sorted(name for name, digest in self._digests.get(index, {}).items() if digest and name > after)[:most]

    def leaving(self, index: str) -> list[NormalizedName]:
        """Those that lose their page, in order."""
        return sorted(name for name, digest in self._digests.get(index, {}).items() if not digest)

    def list_digest(self, index: str) -> str | None:
        """Of the list of projects as it was last written."""
        return self._lists.get(index)

    def keep_list_digest(self, index: str, digest: str | None) -> None:
        """Record that the list was written, or that it is about to be wrong."""
        self._lists.pop(index, None)
        if digest is not None:
            self._lists[index] = digest

    def removals(self, index: str) -> dict[str, Removal]:
        """Identity → file that waits to be deleted."""
        return dict(self._removals.get(index, {}))

    def keep_removals(self, index: str, waiting: Iterable[Removal], settled: Iterable[str]) -> None:
        """Add files that wait; drop those whose wait is over or that are listed again."""
        over = set(settled)
        merged = {**self._removals.get(index, {}), **{one.identity: one for one in waiting}}
        self._removals[index] = {identity: one for identity, one in merged.items() if identity not in over}


class MemoryFindings:
    """Findings in a dictionary."""

    def __init__(self) -> None:
        self._findings: dict[str, Finding] = {}

    def finding(self, index: str) -> Finding | None:
        """That of the last complete sync."""
        return self._findings.get(index)

    def keep_finding(self, index: str, finding: Finding | None) -> None:
        """Remember it, or forget it."""
        if finding is None:
            self._findings.pop(index, None)
        else:
            self._findings[index] = finding


class MemoryPlans:
    """Plans in a dictionary; `learn` makes another version of what is known."""

    def __init__(self) -> None:
        self._plans: dict[str, KeptPlan] = {}
        self._version = 0

    def learn(self) -> None:
        """Something was learned."""
        self._version += 1

    def version(self) -> int | None:
        """The number of what is known."""
        return self._version

    def plan(self, index: str) -> KeptPlan | None:
        """What was remembered last."""
        return self._plans.get(index)

    def keep_plan(self, index: str, plan: KeptPlan) -> None:
        """Remember it."""
        self._plans[index] = plan


class MemoryRuns:
    """Runs in a list."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def begin_run(self, command: str, index: str, started_at: float) -> int:
        """A run began; its number."""
        number = len(self._runs) + 1
        self._runs.append(
            Run(
                number=number,
                command=command,
                index=index,
                started_at=started_at,
                finished_at=None,
                outcome=None,
                summary=b"",
            )
        )
        return number

    def finish_run(self, number: int, finished_at: float, outcome: str, summary: bytes) -> None:
        """It ended. Raises NotFound for a number that `begin_run` never gave."""
        if not 1 <= number <= len(self._runs):
            raise NotFound(f"there is no run {number}")
        self._runs[number - 1] = msgspec.structs.replace(
            self._runs[number - 1], finished_at=finished_at, outcome=outcome, summary=summary
        )

    def last_run(self, index: str) -> Run | None:
        """The newest finished run of that index."""
        finished = [run for run in self._runs if run.index == index and run.finished_at is not None]
        return max(finished, key=lambda run: run.number, default=None)

    def newest_outcome(self, index: str) -> str | None:
        """The outcome of the newest run, finished or not."""
        newest = max((run for run in self._runs if run.index == index), key=lambda run: run.number, default=None)
        return None if newest is None else newest.outcome
