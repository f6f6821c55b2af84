"""Learns a listed file's core metadata on the cheapest way that works, and never by running code.

For a wheel: the advertised `.metadata` (PEP 658, 714), an unadvertised one, ranged reads, the whole wheel. For an
sdist: the whole file, and in it what may be trusted (PEP 643). What a way turned out not to offer is remembered.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.archive import sdist_metadata, wheel_metadata
from pypim.core.errors import (
    CorruptBlob,
    InvalidName,
    MetadataDiffers,
    MetadataNotFound,
    NotAuthorised,
    UpstreamFault,
)
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.metadata import parse_metadata
from pypim.core.model import CoreMetadata, MetadataSource
from pypim.core.names import parse_name
from pypim.index.download import FileIsAbsent
from pypim.index.ranges import RangesNotOffered, read_wheel_metadata
from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.index.download import Downloads
    from pypim.ports import Capabilities, Fetcher, MetadataCache

SIDECAR, RANGES = "sidecar", "ranges"
_METADATA_LIMIT_BYTES = 16 << 20
_UNSIZED_FILE_LIMIT_BYTES = 4 << 30
_MOST_FAULTS = 3
_OK = 200
_CAPABILITY_OF = {MetadataSource.SIDECAR: SIDECAR, MetadataSource.RANGES: RANGES}
CHEAP_WAYS = (MetadataSource.ADVERTISED, MetadataSource.SIDECAR, MetadataSource.RANGES)
EVERY_WAY = (*CHEAP_WAYS, MetadataSource.WHEEL)


class _NotThisWay(Exception):  # noqa: N818 - not an error, but the reason to try the next way
    """Why a way gave nothing; `is_lasting` where the upstream does not offer it at all."""

    def __init__(self, reason: str, *, is_lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_lasting = is_lasting


class RemoteMetadata:
    """The MetadataReader for files of one upstream; results are kept, and asked for once at a time.

    `upstream` is its URL, under which is remembered what it offers: another URL may offer something else.
    """

    def __init__(
        self,
        upstream: str,
        fetcher: Fetcher,
        cache: MetadataCache,
        capabilities: Capabilities,
        downloads: Downloads,
        ways: Sequence[MetadataSource] = EVERY_WAY,
    ) -> None:
        """`ways` are those on which the core metadata of a wheel is looked for, in that order."""
        self._upstream = upstream
        self._fetcher = fetcher
        self._cache = cache
        self._capabilities = capabilities
        self._downloads = downloads
        self._ways = ways
        self._flights = SingleFlight[CoreMetadata]()
        self._faults = Counter[MetadataSource]()

    async def metadata(self, project: NormalizedName, file: DistFile) -> CoreMetadata:
        """What is known of the file, or can be learned; kinds other than wheel and sdist say nothing."""
        key = _key(file)
        known = self._cache.metadata(key)
        if known is not None:
            return known
        return await self._flights.value(key, partial(self._learn, project, file, key))

    def said(self, seen: Sequence[tuple[NormalizedName, DistFile, bytes]]) -> set[str]:
        """Remember what wheels say, also in place of what an upstream's `.metadata` made us believe of them."""
        believed = self._cache.metadata_of([_key(file) for _, file, _ in seen])
        corrected: set[str] = set()
        checked: list[tuple[str, CoreMetadata, bytes]] = []
        for project, file, body in seen:
            key = _key(file)
            true = parse_metadata(body, MetadataSource.WHEEL)
            if (before := believed.get(key)) is not None:
                if _requirements_of(true) == _requirements_of(before):
                    continue
                fault = f"what {project}'s index told of its core metadata is not what is in the wheel"
                true = msgspec.structs.replace(true, faults=(*true.faults, fault))
                corrected.add(file.identity)
            if file.sha256 is None:
                self._cache.keep_metadata(key, true, body)
            else:
                checked.append((key, true, body))
        if checked:
            self._cache.keep_checked(checked)
        return corrected

    def learned(self, project: NormalizedName, file: DistFile, metadata: CoreMetadata, body: bytes | None) -> None:
        """Keep what the file itself says, in place of what was only believed of it."""
        key = _key(file)
        if self._cache.metadata(key) is None:
            self._cache.keep_metadata(key, metadata, body, is_checked=file.sha256 is not None)
        elif body is not None and metadata.source is MetadataSource.WHEEL:
            self.said([(project, file, body)])

    async def _learn(self, project: NormalizedName, file: DistFile, key: str) -> CoreMetadata:
        kind = parse_filename(file.filename, project).kind
        body: bytes | None = None
        if kind is FileKind.WHEEL:
            metadata, body = await self._of_wheel(project, file)
        elif kind is FileKind.SDIST:
            metadata, body = await self._of_sdist(file)
        else:
            metadata = CoreMetadata(name=None, version=None, source=MetadataSource.NONE)
        # A file that was read as a whole has the sha256 that is listed; of anything else only the upstream says so.
        is_checked = file.sha256 is not None and (kind is FileKind.SDIST or metadata.source is MetadataSource.WHEEL)
        self._cache.keep_metadata(key, metadata, body, is_checked=is_checked)
        return metadata

    # --- wheels -----------------------------------------------------------------------------------------------------
    async def _of_wheel(self, project: NormalizedName, file: DistFile) -> tuple[CoreMetadata, bytes]:
        tried: dict[MetadataSource, str] = {}
        last_fault: UpstreamFault | None = None
        for source in self._ways:
            if not self._is_worth_trying(source, file):
                continue
            try:
                body = await self._read(source, file)
                metadata = _checked(body, source, project)
            except _NotThisWay as reason:
                tried[source], last_fault = f"{source}: {reason.reason}", None
                if reason.is_lasting:
                    self._not_offered(source)
            except UpstreamFault as fault:
                tried[source] = f"{source}: {fault.reason}"
                last_fault = fault
                self._faults[source] += 1
            else:
                self._offered(source)
                return _with_lie(metadata, tried.get(MetadataSource.ADVERTISED)), body
        if last_fault is not None:
            raise last_fault
        raise MetadataNotFound(file.filename, tuple(tried.values()))

    def _is_worth_trying(self, source: MetadataSource, file: DistFile) -> bool:
        if source is MetadataSource.ADVERTISED:
            return bool(file.core_metadata)
        if source is MetadataSource.SIDECAR and file.core_metadata is not None:
            return False
        capability = _CAPABILITY_OF.get(source)
        if capability is None:
            return True
        # Faults are no answer, so they are not remembered; but a way that only fails is left alone for this run.
        is_offered = self._capabilities.capability(self._upstream, capability)
        return is_offered is not False and self._faults[source] < _MOST_FAULTS

    async def _read(self, source: MetadataSource, file: DistFile) -> bytes:
        if source is MetadataSource.RANGES:
            return await self._read_ranges(file)
        if source is MetadataSource.WHEEL:
            return await self._read_whole(file)
        return await self._read_sidecar(source, file)

    async def _read_sidecar(self, source: MetadataSource, file: DistFile) -> bytes:
        url, question, query = file.url.partition("?")
        try:
            fetched = await self._fetcher.fetch(
                f"{url}.metadata{question}{query}", {}, limit_bytes=_METADATA_LIMIT_BYTES
            )
        except NotAuthorised:
            raise _NotThisWay("forbidden (403)", is_lasting=True) from None  # how some hosts say "not there"
        if fetched.status != _OK:
            raise _NotThisWay(f"the upstream answered {fetched.status}", is_lasting=True)
        listed = file.core_metadata
        if source is MetadataSource.ADVERTISED and isinstance(listed, str):
            actual = hashlib.sha256(fetched.body).hexdigest()
            if actual != listed:
                raise _NotThisWay(MetadataDiffers(file.filename, listed, actual).message)
        return fetched.body

    async def _read_ranges(self, file: DistFile) -> bytes:
        try:
            return await read_wheel_metadata(self._fetcher, file)
        except RangesNotOffered as error:
            raise _NotThisWay(error.message, is_lasting=True) from error
        except (CorruptBlob, NotAuthorised) as error:
            raise _NotThisWay(error.message) from error

    async def _read_whole(self, file: DistFile) -> bytes:
        try:
            staged = await self._downloads.whole(file, _UNSIZED_FILE_LIMIT_BYTES)
        except (FileIsAbsent, NotAuthorised) as error:
            raise _NotThisWay(error.message) from error
        try:
            with staged.open() as stream:
                return wheel_metadata(stream, file.filename)
        except CorruptBlob as error:
            raise _NotThisWay(error.message) from error
        finally:
            staged.close()

    # --- sdists -----------------------------------------------------------------------------------------------------
    async def _of_sdist(self, file: DistFile) -> tuple[CoreMetadata, bytes | None]:
        try:
            staged = await self._downloads.whole(file, _UNSIZED_FILE_LIMIT_BYTES)
        except (FileIsAbsent, NotAuthorised) as error:
            raise MetadataNotFound(file.filename, (error.message,)) from error
        try:
            with staged.open() as stream:
                return sdist_metadata(stream, file.filename)
        except CorruptBlob as error:
            raise MetadataNotFound(file.filename, (error.message,)) from error
        finally:
            staged.close()

    # --- what the upstream offers -----------------------------------------------------------------------------------
    def _offered(self, source: MetadataSource) -> None:
        name = _CAPABILITY_OF.get(source)
        if name is not None and self._capabilities.capability(self._upstream, name) is not True:
            self._capabilities.keep_capability(self._upstream, name, is_offered=True)

    def _not_offered(self, source: MetadataSource) -> None:
        """A way that worked before is not given up for one file that is without it."""
        name = _CAPABILITY_OF.get(source)
        if name is not None and self._capabilities.capability(self._upstream, name) is None:
            self._capabilities.keep_capability(self._upstream, name, is_offered=False)


def _key(file: DistFile) -> str:
    return file.sha256 or file.url


def _checked(body: bytes, source: MetadataSource, project: NormalizedName) -> CoreMetadata:
    """Metadata of another project, or no metadata at all (an error page), is worth nothing."""
    metadata = parse_metadata(body, source)
    is_lasting = source is MetadataSource.SIDECAR  # the other ways lead to the wheel itself, which may be odd alone
    try:
        name = parse_name(metadata.name or "")
    except InvalidName:
        raise _NotThisWay("what came is not core metadata", is_lasting=is_lasting) from None
    if name != project:
        raise _NotThisWay(f"what came is the metadata of {name}", is_lasting=is_lasting)
    return metadata


def _with_lie(metadata: CoreMetadata, reason: str | None) -> CoreMetadata:
    """The metadata, with a note where the index advertised some that could not be used."""
    return msgspec.structs.replace(metadata, faults=(*metadata.faults, reason)) if reason else metadata


def _requirements_of(metadata: CoreMetadata) -> tuple[object, ...]:
    return metadata.requires_dist, metadata.requires_python, metadata.provides_extra
