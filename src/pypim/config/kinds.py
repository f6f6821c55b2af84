"""Indexes that are not filled by a sync: proxies, hosted ones, and groups with what their members must not be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pypim.config.model import GroupIndex, HostedIndex, Overwrite, ProxyIndex, Read
from pypim.core.patterns import TagPatterns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pypim.config.document import GroupTable, HostedTable, ProxyTable
    from pypim.config.model import Index, Upstream
    from pypim.config.reading import Reading
    from pypim.core.policy import Filters
    from pypim.core.positions import KeyPath

SERVER_PATHS = frozenset(
    {
        "_",
        "api",
        "healthz",
        "integrity",
        "legacy",
        "local",
        "metrics",
        "packages",
        "pypi",
        "readyz",
        "requirements.txt",
        "simple",
        "uploadpackage",
    }
)
"""What the server itself answers at: no index can be reached under these names."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def check_name(reading: Reading, path: KeyPath, name: str) -> None:
    """A name of an index is a part of its address on the server."""
    if name.lower() in SERVER_PATHS:
        remedy = "Choose another name."
        reading.faults.add(path, f"/{name}/ is a path of the server itself, so no index can have that name", remedy)
    elif not _NAME.fullmatch(name):
        reading.faults.add(path, "a name of an index has letters, digits, '-' and '_' only")


def proxy(
    reading: Reading, name: str, table: ProxyTable, upstream: Upstream, filters: Filters, read: Read
) -> ProxyIndex:
    """A proxy of that upstream; the filters have been checked."""
    path: KeyPath = ("indexes", name)
    for key, globs in (("classifiers", filters.exclude_classifiers), ("licenses", filters.exclude_licenses)):
        if globs:
            where = (*path, "filters", f"exclude-{key}")
            reading.faults.add(where, "a proxy does not ask projects for that: this filter is for mirrors")
    return ProxyIndex(
        name=name,
        read=Read(table.read or read),
        upstream=upstream,
        max_age_seconds=reading.seconds((*path, "max-age"), table.max_age),
        stale_while_revalidate_seconds=reading.seconds((*path, "stale-while-revalidate"), table.stale_while_revalidate),
        stale_if_error_seconds=reading.seconds((*path, "stale-if-error"), table.stale_if_error),
        negative_max_age_seconds=reading.seconds((*path, "negative-max-age"), table.negative_max_age),
        max_size_bytes=reading.size_bytes((*path, "max-size"), table.max_size),
        pinned=reading.projects((*path, "pinned"), table.pinned, has_versions=True),
        is_offline=table.offline,
        computes_metadata=table.metadata,
        filters=filters,
    )


def hosted(reading: Reading, name: str, table: HostedTable, read: Read) -> HostedIndex:
    """A hosted index."""
    path: KeyPath = ("indexes", name)
    creators = None
    if table.create != "anyone":
        named = () if table.create == "nobody" else table.create
        creators = frozenset(reading.people((*path, "create"), named))
    return HostedIndex(
        name=name,
        read=Read(table.read or read),
        overwrite=Overwrite(table.overwrite),
        creators=creators,
        reserved=reading.projects((*path, "reserve"), table.reserve),
        max_file_size_bytes=reading.size_bytes((*path, "max-file-size"), table.max_file_size),
        max_project_size_bytes=reading.size_bytes((*path, "max-project-size"), table.max_project_size),
        takes_local_versions=table.local_versions,
        platform_tags=TagPatterns.compile(table.platform_tags),
    )


def check_sizes(reading: Reading, indexes: Mapping[str, Index], max_upload_bytes: int) -> None:
    """A file that an index would take must be able to get there."""
    for name, index in indexes.items():
        limit = index.max_file_size_bytes if isinstance(index, HostedIndex) else None
        if limit is not None and limit > max_upload_bytes:
            sentence = f"no file so large arrives: server.max-upload-size is {max_upload_bytes:,} bytes"
            reading.faults.add(("indexes", name, "max-file-size"), sentence, "Raise that, or lower this.")


def groups(reading: Reading, tables: Mapping[str, GroupTable], others: Mapping[str, Index], read: Read) -> list[Index]:
    """The groups, which may hold the others and each other, but none itself."""
    known = (*others, *tables)
    members = {name: _members(reading, name, table, known) for name, table in tables.items()}
    inner = {name: [member for member in held if member in tables] for name, held in members.items()}
    for name, held in members.items():
        for member in held:
            way = _way(member, name, inner)
            if way:
                number = tables[name].members.index(member)
                sentence = f"a group cannot hold itself: {' holds '.join((name, *way))}"
                reading.faults.add(("indexes", name, "members", number), sentence, "Take it out.")
    closed = {name for name, index in others.items() if index.read is Read.AUTHENTICATED}
    closed |= {name for name, table in tables.items() if (table.read or read) == "authenticated"}
    return [
        GroupIndex(
            name=name,
            read=_read(reading, name, table, [m for m in _below(name, members) if m in closed], read),
            members=tuple(members[name]),
            merged=reading.projects(("indexes", name, "merge"), table.merge),
        )
        for name, table in tables.items()
    ]


def _members(reading: Reading, name: str, table: GroupTable, known: tuple[str, ...]) -> list[str]:
    path: KeyPath = ("indexes", name, "members")
    if not table.members:
        reading.faults.add_missing(
            path, "a group needs members", f"Name some: {', '.join(n for n in known if n != name)}."
        )
    for number, member in enumerate(table.members):
        if member in table.members[:number]:
            reading.faults.add((*path, number), f"{member} is named twice", "Take one out: the first place counts.")
    return list(dict.fromkeys(reading.known(path, table.members, known, "index")))


def _read(reading: Reading, name: str, table: GroupTable, closed: list[str], default: Read) -> Read:
    """What anyone may read shows nothing that is closed by itself."""
    if table.read == "anyone" and closed:
        sentence = f"anyone would read {', '.join(closed)} here, which asks for credentials by itself"
        reading.faults.add(("indexes", name, "read"), sentence, 'Write "authenticated", or leave it out.')
    return Read.AUTHENTICATED if closed else Read(table.read or default)


def _below(name: str, members: Mapping[str, list[str]]) -> list[str]:
    """Everything that a group leads to, each once."""
    found: dict[str, None] = {}
    waiting = list(members[name])
    while waiting:
        member = waiting.pop(0)
        if member not in found:
            found[member] = None
            waiting += members.get(member, ())
    return list(found)


def _way(start: str, goal: str, inner: Mapping[str, list[str]]) -> tuple[str, ...]:
    """The shortest way from one group to another, both of them named; empty where there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    for way in ways:
        if way[-1] == goal:
            return way
        for member in inner.get(way[-1], ()):
            if member not in seen:
                seen.add(member)
                ways.append((*way, member))
    return ()
