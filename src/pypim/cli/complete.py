"""How complete each mirror is, as `status --completeness` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pypim.cli.output import counted, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pypim.config.model import MirrorIndex
    from pypim.sync.completeness import Completeness, Missing
    from pypim.wiring import OpenStore

_MOST_SHOWN = 50


def completeness_of(store: OpenStore, indexes: Iterable[MirrorIndex]) -> list[Completeness]:
    """Of some mirrors. Raises InvalidConfig where it cannot be read what they shall hold."""
    from pypim.core.urls import root_url
    from pypim.sync.completeness import completeness
    from pypim.wiring import request_of

    catalog = store.catalog
    return [
        completeness(
            request_of(store.config, index),
            root_url(index.upstream.url),
            catalog.generations,
            catalog.backlog,
            catalog.walks,
            store.of(index).following,
        )
        for index in indexes
    ]


def completeness_lines(found: Completeness) -> Iterator[str]:
    """For people: the numbers, then what is missing."""
    sizes = f"{format_size(found.held_bytes)} of {format_size(found.file_bytes)}"
    told = "complete" if found.is_complete else "not complete"
    yield f"{found.index}: {told}"
    yield (
        f"  {found.complete_projects:,} of {counted(found.projects, 'project')}, "
        f"{found.held_files:,} of {counted(found.files, 'file')}, {sizes}"
    )
    if not found.is_chosen:
        yield "  no sync has chosen yet what it is to hold"
    if found.unseen_projects:
        yield f"  {counted(found.unseen_projects, 'project')} not looked at yet; the next sync does"
    for one in found.missing[:_MOST_SHOWN]:
        yield f"  {click.style('missing', fg='red')}: {_line(one)}"
    if len(found.missing) > _MOST_SHOWN:
        yield f"  … and {len(found.missing) - _MOST_SHOWN:,} more (all of them with --json)"


def _line(one: Missing) -> str:
    files = f" ({counted(len(one.files), 'file')})" if one.files else ""
    tries = f", tried {counted(one.attempts, 'time')}" if one.attempts else ""
    after = "" if one.next_try is None else f"; next try: {one.next_try}"
    return f"{one.project}{files}: {one.reason}{tries}{after}"
