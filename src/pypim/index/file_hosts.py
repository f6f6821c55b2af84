"""Other hosts of an upstream's files, tried first: nearby mirrors, whose word counts for nothing.

Only a file whose hash the upstream's own page lists is taken from them, and the hash decides. Whatever goes wrong there
is no fault of the download: it is counted, and the file comes from the upstream. A host that keeps failing is left
out for as long as this object lives; a sync, or a worker of the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec

from pypim.core.errors import IntegrityFault, Refused, UpstreamFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from pypim.core.errors import PypimError
    from pypim.core.model import DistFile
    from pypim.ports import Fetcher, Reporter, StagedBlob

    Receive = Callable[[Fetcher, DistFile], Awaitable[None]]

_MOST_FAULTS = 3
_MOST_ABSENCES = 20
"""In a row. A mirror of a part, or one that is behind, lacks many files and is still worth asking."""
_PACKAGES = "/packages/"
_WEAK = frozenset({"md5", "sha1"})


class FileHostReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one host."""

    url: str
    files: int
    absent: int
    """Files that it did not have."""
    failed: int
    """Files of which it failed to give the right bytes."""
    is_left_out: bool


class _Host:
    """One host, and how it has done so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files = self.absent = self.failed = 0
        self.absences_in_a_row = self.faults_in_a_row = 0
        self.is_left_out = False
        self.wrong: set[str] = set()
        """Files of which it has other bytes, by identity."""

    def report(self) -> FileHostReport:
        return FileHostReport(
            url=self.url, files=self.files, absent=self.absent, failed=self.failed, is_left_out=self.is_left_out
        )


class FileHosts:
    """The file hosts of one upstream."""

    def __init__(self, urls: Sequence[str], fetcher: Fetcher, reporter: Reporter) -> None:
        """`urls` end with "/"; `fetcher` says nothing of who we are, and does not try twice."""
        self._hosts = [_Host(url) for url in urls]
        self._fetcher = fetcher
        self._reporter = reporter

    async def receive(self, staged: StagedBlob, file: DistFile, receive: Receive) -> bool:
        """Whether one of the hosts gave the file, staged and checked by `receive`.

        `receive` is given the fetcher and the file with the URL to use, and raises what it finds wrong. What is staged
        afterwards is right as far as it goes, or at least the page's hash will show that it is not.
        """
        for host in self._worth_asking(file):
            address = address_at(host.url, file.url)
            try:
                await receive(self._fetcher, msgspec.structs.replace(file, url=address))
            except (UpstreamFault, Refused, IntegrityFault) as fault:
                if isinstance(fault, IntegrityFault):
                    host.wrong.add(file.identity)
                    staged.restart()
                self._failed(host, fault)
            else:
                host.files += 1
                host.absences_in_a_row = host.faults_in_a_row = 0
                return True
        return False

    def reports(self) -> tuple[FileHostReport, ...]:
        """What came of each, in the order of the configuration."""
        return tuple(host.report() for host in self._hosts)

    def _worth_asking(self, file: DistFile) -> Iterator[_Host]:
        if not has_sure_hash(file):
            return
        for host in self._hosts:
            if not host.is_left_out and file.identity not in host.wrong:
                yield host

    def _failed(self, host: _Host, fault: PypimError) -> None:
        if fault.code == "file-is-absent":
            host.absent += 1
            host.absences_in_a_row += 1
        else:
            host.failed += 1
            host.faults_in_a_row += 1
        is_over = host.faults_in_a_row >= _MOST_FAULTS or host.absences_in_a_row >= _MOST_ABSENCES
        if is_over and not host.is_left_out:
            host.is_left_out = True
            self._reporter.note(f"the file host {host.url} is left out from now on: {fault.message}")


class FileRoute(NamedTuple):
    """Where files are asked for."""

    fetcher: Fetcher
    """To the upstream itself."""
    hosts: FileHosts | None = None
    """Asked before it."""


def has_sure_hash(file: DistFile) -> bool:
    """Whether the upstream's page lists a hash that nobody can forge."""
    return file.sha256 is not None or (file.other_hash is not None and file.other_hash[0] not in _WEAK)


def address_at(host: str, url: str) -> str:
    """Where a host has the file of that URL: at the same path, from `packages/` on where that is in it."""
    path = urlsplit(url).path
    before, found, below = path.partition(_PACKAGES)
    return f"{host}packages/{below}" if found else f"{host}{before.lstrip('/')}"
