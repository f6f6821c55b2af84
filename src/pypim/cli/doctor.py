"""The command that looks for what is wrong on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import place_options
from pypim.cli.output import format_size
from pypim.core.errors import PypimError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.cli.options import PlaceArguments
    from pypim.cli.output import Session
    from pypim.config.model import Config, Index
    from pypim.ports import Reporter
    from pypim.wiring import OpenStore

_STORE_FAULT = 8
_LITTLE_ROOM_BYTES = 1_000_000_000
_MOST_NAMED = 5


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was looked at, what was found, and what to do where it is not fine."""

    subject: str
    is_fine: bool
    detail: str
    remedy: str = ""


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim doctor", "With ./pypim.toml."),
        ("pypim doctor --to ./mirror --json", "For a mirror that was made without one."),
    ),
)
@place_options
@click.option("--offline", is_flag=True, help="Do not ask the upstream.")
@click.pass_obj
def doctor(session: Session, place: PlaceArguments, *, offline: bool) -> int:
    """Look for what is wrong on this machine: configuration, store, catalog, room, published pages, upstream.

    Every check says what was found and what to do. The exit status is 8 when something is wrong.
    """
    found = session.place(place)
    findings = [
        Finding(subject="configuration", is_fine=True, detail=found.config.source),
        Finding(subject="python", is_fine=True, detail=sys.version.split()[0]),
        *_store_findings(found.config, found.indexes),
    ]
    if not offline:
        reporter = session.reporter()
        findings += [_upstream_finding(found.config, index, reporter) for index in found.indexes]
        reporter.close()

    def prose() -> None:
        for finding in findings:
            mark = click.style("ok ", fg="green") if finding.is_fine else click.style("bad", fg="red")
            session.say(f"{mark} {finding.subject}: {finding.detail}")
            if finding.remedy:
                session.say(f"    {finding.remedy}")

    is_fine = all(finding.is_fine for finding in findings)
    return session.emit({"command": "doctor", "findings": findings}, prose, exit_status=0 if is_fine else _STORE_FAULT)


def _store_findings(config: Config, indexes: tuple[Index, ...]) -> Iterator[Finding]:
    from pypim.wiring import can_write, open_store

    problem = can_write(config.store.path)
    yield Finding(
        subject="store",
        is_fine=not problem,
        detail=problem or f"{config.store.path} can be written",
        remedy="Give this user the right to write there, or choose another store.path." if problem else "",
    )
    try:
        with open_store(config, writable=False) as store:
            yield _room_finding(store)
            yield _catalog_finding(store)
            yield from (_missing_finding(store, index) for index in indexes)
            yield from (_pages_finding(store, index) for index in indexes if index.publish is not None)
    except PypimError as error:
        yield Finding(subject="catalog", is_fine=False, detail=error.message, remedy=error.hint)


def _room_finding(store: OpenStore) -> Finding:
    free_bytes = store.blobs.free_bytes()
    if free_bytes is None:
        return Finding(subject="room", is_fine=True, detail="the system does not say how much is free")
    is_fine = free_bytes >= _LITTLE_ROOM_BYTES
    remedy = "" if is_fine else "Make room, or run `pypim prune` to delete what no index lists."
    return Finding(subject="room", is_fine=is_fine, detail=f"{format_size(free_bytes)} free", remedy=remedy)


def _catalog_finding(store: OpenStore) -> Finding:
    faults = store.catalog.faults()
    if not faults:
        return Finding(subject="catalog", is_fine=True, detail="every page of it can be read")
    remedy = "Move it aside and run `pypim sync`: files on disk are found again by their hash."
    return Finding(subject="catalog", is_fine=False, detail="; ".join(faults[:_MOST_NAMED]), remedy=remedy)


def _missing_finding(store: OpenStore, index: Index) -> Finding:
    """Only looks whether the files are there with their sizes; `verify` reads them."""
    generation = store.catalog.generations.current(index.name)
    subject = f"index {index.name}"
    if store.catalog.generations.is_interrupted(index.name):
        return Finding(
            subject=subject,
            is_fine=False,
            detail="the last run did not finish",
            remedy="Run `pypim sync` again; it goes on from there.",
        )
    if generation is None:
        return Finding(subject=subject, is_fine=True, detail="nothing was mirrored yet")
    held = dict(store.catalog.holdings.holdings())
    releases = store.catalog.generations.selection(generation.number).releases
    listed = [held[file.identity] for release in releases for file in release.files if file.identity in held]
    missing = [holding.filename for holding in listed if not store.blobs.found(holding)]
    if missing:
        named = ", ".join(missing[:_MOST_NAMED])
        return Finding(
            subject=subject,
            is_fine=False,
            detail=f"{len(missing)} files are missing or of the wrong size: {named}",
            remedy="Run `pypim verify --repair`.",
        )
    return Finding(subject=subject, is_fine=True, detail=f"all {len(listed):,} files are there")


def _pages_finding(store: OpenStore, index: Index) -> Finding:
    digests = store.catalog.published.page_digests(index.name)
    assert index.publish is not None
    missing = [name for name in digests if not _has_page(index.publish, name)]
    subject = f"pages of {index.name}"
    if missing:
        named = ", ".join(missing[:_MOST_NAMED])
        return Finding(
            subject=subject,
            is_fine=False,
            detail=f"{len(missing)} pages are missing in {index.publish}: {named}",
            remedy="Run `pypim verify --repair`; it writes the pages again.",
        )
    return Finding(subject=subject, is_fine=True, detail=f"{len(digests):,} pages stand in {index.publish}")


def _has_page(folder: Path, name: str) -> bool:
    return (folder / "simple" / name / "index.html").is_file()


def _upstream_finding(config: Config, index: Index, reporter: Reporter) -> Finding:
    from pypim.wiring import ask_upstream, run

    subject = f"upstream {index.upstream.name}"
    try:
        detail = run(ask_upstream(config, index, reporter))
    except PypimError as error:
        return Finding(subject=subject, is_fine=False, detail=error.message, remedy=error.hint)
    return Finding(subject=subject, is_fine=True, detail=detail)
