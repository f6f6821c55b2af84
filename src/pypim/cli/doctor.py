"""The command that looks for what is wrong on this machine."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.inventory import some_at_a_time
from pypim.cli.options import workspace_options
from pypim.cli.output import format_size
from pypim.core.errors import PypimError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.config.model import Config, MirrorIndex
    from pypim.ports import Reporter
    from pypim.wiring import OpenStore

_STORE_FAULT = 8
_LITTLE_ROOM_BYTES = 1_000_000_000
_NO_ROOM_BYTES = 1_000_000
"""Less than this is nothing: the catalog alone cannot be written then."""
_MOST_NAMED = 5


class State(StrEnum):
    """How something is; only a fault changes the exit status."""

    FINE = "fine"
    WARNING = "warning"
    FAULT = "fault"


_MARKS = {
    State.FINE: click.style("ok  ", fg="green"),
    State.WARNING: click.style("warn", fg="yellow"),
    State.FAULT: click.style("bad ", fg="red"),
}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, how it is, and what to do where it is not fine."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim doctor", "With ./pypim.toml."),
        ("pypim doctor --to ./mirror --json", "For a mirror that was made without one."),
        ("pypim doctor --rebuild", "When the catalog is damaged or lost."),
    ),
)
@workspace_options
@click.option("--offline", is_flag=True, help="Do not ask the upstream.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Make a damaged or lost catalog anew: from what can be read of it, from the files, and from the audit log.",
)
@click.pass_obj
def doctor(session: Session, workspace: WorkspaceArguments, *, offline: bool, rebuild: bool) -> int:
    """Look for what is wrong on this machine: configuration, store, catalog, room, published pages, upstream.

    Every check says what was found and what to do. The exit status is 8 when something is wrong; a warning, such as
    little room, does not change it.

    With --rebuild nothing is looked for: the catalog is made anew, and it is said what was found and what could not be
    had back. The damaged one is kept in a folder beside it. The exit status is 1 when something is lost. Stop the
    server first, and run `pypim sync` afterwards.
    """
    found = session.workspace(workspace, is_about_mirrors=False)
    if rebuild:
        from pypim.cli.rebuild import rebuild as rebuild_catalog

        return rebuild_catalog(session, found.config)
    checks = [
        Check(subject="configuration", state=State.FINE, detail=found.config.source),
        Check(subject="python", state=State.FINE, detail=sys.version.split()[0]),
        *_store_checks(found.config, found.indexes),
    ]
    if not offline:
        reporter = session.reporter()
        checks += [_upstream_check(found.config, index, reporter) for index in found.indexes]
        reporter.close()

    checks = [msgspec.structs.replace(check, remedy=session.pasteable(check.remedy)) for check in checks]

    def prose() -> None:
        for check in checks:
            session.say(f"{_MARKS[check.state]} {check.subject}: {check.detail}")
            if check.remedy:
                session.say(f"     {check.remedy}")

    has_fault = any(check.state is State.FAULT for check in checks)
    return session.emit({"command": "doctor", "checks": checks}, prose, exit_status=_STORE_FAULT if has_fault else 0)


def _store_checks(config: Config, indexes: tuple[MirrorIndex, ...]) -> Iterator[Check]:
    from pypim.wiring import CATALOG_NAME, can_write, open_store

    problem = can_write(config.store.path)
    yield Check(
        subject="store",
        state=State.FAULT if problem else State.FINE,
        detail=problem or f"{config.store.path} can be written",
        remedy="Give this user the right to write there, or choose another store.path." if problem else "",
    )
    try:
        with open_store(config, writable=False) as store:
            yield room_check(store.blobs.free_bytes())
            yield _catalog_check(store, config.store.path / CATALOG_NAME)
            yield from (_missing_check(store, index) for index in indexes)
            yield from (_pages_check(store, index) for index in indexes if index.publish is not None)
    except PypimError as error:
        yield Check(subject="catalog", state=State.FAULT, detail=error.message, remedy=error.hint)


def room_check(free_bytes: int | None) -> Check:
    """Little room is a warning; a fault is only where nothing can be written."""
    if free_bytes is None:
        return Check(subject="room", state=State.FINE, detail="the system does not say how much is free")
    state = State.FINE
    if free_bytes < _LITTLE_ROOM_BYTES:
        state = State.FAULT if free_bytes < _NO_ROOM_BYTES else State.WARNING
    remedy = "" if state is State.FINE else "Make room, or run `pypim prune` to delete what no index lists."
    return Check(subject="room", state=state, detail=f"{format_size(free_bytes)} free", remedy=remedy)


def _catalog_check(store: OpenStore, path: Path) -> Check:
    from pypim.wiring import has_lost_catalog

    if has_lost_catalog(store.config) and next(store.blobs.iter_files(), None) is not None:
        remedy = "Run `pypim doctor --rebuild`: it makes a new one from the files and the audit log."
        return Check(subject="catalog", state=State.FAULT, detail=f"{path} is lost, and there are files", remedy=remedy)
    faults = store.catalog.faults()
    if not faults:
        return Check(subject="catalog", state=State.FINE, detail="all of it can be read")
    remedy = "Run `pypim doctor --rebuild`: it makes a new one from what can be read of it and from the files."
    return Check(subject="catalog", state=State.FAULT, detail="; ".join(faults[:_MOST_NAMED]), remedy=remedy)


def _missing_check(store: OpenStore, index: MirrorIndex) -> Check:
    """Only looks whether the files are there with their sizes; `verify` reads them."""
    subject = f"index {index.name}"
    if store.catalog.generations.is_interrupted(index.name):
        return Check(
            subject=subject,
            state=State.FAULT,
            detail="the last run did not finish",
            remedy="Run `pypim sync` again; it goes on from there.",
        )
    if store.catalog.generations.current(index.name) is None:
        return Check(subject=subject, state=State.FINE, detail="nothing was mirrored yet")
    files, missing = 0, []
    for _, held in some_at_a_time(store, index):
        files += len(held)
        missing += [holding.filename for holding in held.values() if not store.blobs.found(holding)]
    if missing:
        named = ", ".join(missing[:_MOST_NAMED])
        return Check(
            subject=subject,
            state=State.FAULT,
            detail=f"{len(missing)} files are missing or of the wrong size: {named}",
            remedy="Run `pypim verify --repair`.",
        )
    return Check(subject=subject, state=State.FINE, detail=f"all {files:,} files are there")


def _pages_check(store: OpenStore, index: MirrorIndex) -> Check:
    """Only looks whether the pages are there, and at the list of projects; `verify` reads them."""
    from pypim.sync.verify import list_damage
    from pypim.wiring import published_tree

    generations, published = store.catalog.generations, store.catalog.published
    names = [name for name, digest in published.page_digests(index.name).items() if digest]
    tree = published_tree(store.config, index)
    assert index.publish is not None
    assert tree is not None
    subject, faults = f"pages of {index.name}", []
    if missing := [name for name in names if not _has_page(index.publish, name)]:
        faults.append(f"{len(missing)} pages are missing: {', '.join(missing[:_MOST_NAMED])}")
    if generations.current(index.name) is not None and (
        reason := list_damage(generations, published, tree, index.name)
    ):
        faults.append(reason)
    if faults:
        return Check(
            subject=subject,
            state=State.FAULT,
            detail=f"{index.publish}: {'; '.join(faults)}",
            remedy="Run `pypim verify --repair`; it writes the pages again.",
        )
    return Check(subject=subject, state=State.FINE, detail=f"{len(names):,} pages stand in {index.publish}")


def _has_page(folder: Path, name: str) -> bool:
    return all((folder / "simple" / name / part).is_file() for part in ("index.html", "index.v1_json"))


def _upstream_check(config: Config, index: MirrorIndex, reporter: Reporter) -> Check:
    from pypim.wiring import ask_upstream, run

    subject = f"upstream {index.upstream.name}"
    try:
        detail = run(ask_upstream(config, index, reporter))
    except PypimError as error:
        return Check(subject=subject, state=State.FAULT, detail=error.message, remedy=error.hint)
    return Check(subject=subject, state=State.FINE, detail=detail)
