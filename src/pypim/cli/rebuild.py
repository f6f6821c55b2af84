"""What `pypim doctor --rebuild` does and says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.cli.output import counted, format_size
from pypim.core.errors import CorruptCatalog, InvalidUsage, PypimError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.cli.output import Session
    from pypim.config.model import Config
    from pypim.core.rebuilt import Rebuilt

_PARTIAL = 1
_MOST_NAMED = 20


def rebuild(session: Session, config: Config) -> int:
    """Make the catalog anew and say what came of it; the exit status is 1 where something could not be had back."""
    from pypim.wiring_upkeep import rebuild_catalog

    _refuse_whole(config)
    reporter = session.reporter()
    try:
        report = rebuild_catalog(config, reporter)
    finally:
        reporter.close()

    def prose() -> None:
        for line in _lines(report):
            session.say(session.pasteable(line))

    return session.emit({"command": "doctor", "rebuilt": report}, prose, exit_status=0 if report.is_whole else _PARTIAL)


def _refuse_whole(config: Config) -> None:
    """Raise InvalidUsage where there is nothing to rebuild: a new catalog knows less than one that is whole."""
    from pypim.wiring import CATALOG_NAME, has_lost_catalog, open_store

    if has_lost_catalog(config):
        return
    try:
        with open_store(config, writable=False) as store:
            faults = store.catalog.faults()
            for index in config.mirrors:
                store.catalog.generations.current_selection(index.name)
    except CorruptCatalog:
        return
    except PypimError as error:
        if error.code == "schema-too-new":
            raise
        return
    if not faults:
        raise InvalidUsage(
            f"{config.store.path / CATALOG_NAME} is whole: there is nothing to rebuild",
            hint="Move it away first if you want a new one all the same.",
        )


def _lines(report: Rebuilt) -> Iterator[str]:
    if report.source:
        yield f"the old catalog is in {report.source}"
    for fault in report.faults:
        yield f"  it said: {fault}"
    size = format_size(report.file_bytes)
    yield f"found {counted(report.files, 'file')} ({size}) with the bytes that they should have"
    if report.metadata_written:
        yield f"  {report.metadata_written} .metadata files were made again"
    yield from _named(report.damaged, "with other bytes than their place says; they are left there")
    yield f"had back {counted(len(report.users), 'user')} and {counted(report.tokens, 'token')}"
    if not report.users and not report.tokens and any(index.kind == "hosted" for index in report.indexes):
        yield "  where there were some, add them before you start the server: with open-on-loopback it is open without"
    for index in report.indexes:
        audit = f", {index.from_audit} of them told by the audit log alone" if index.from_audit else ""
        note = f": {index.note}" if index.note else ""
        yield f"{index.name} ({index.kind}): {counted(index.files, 'file')}{audit}{note}"
        yield from _named(index.lost, "it had, and their bytes are not there")
    yield from _table_lines(report)
    aside = f"; they are in {report.aside}, too" if report.aside else ""
    yield from _named(report.unexplained, f"no record explains{aside}")


def _table_lines(report: Rebuilt) -> Iterator[str]:
    for fault in dict.fromkeys(table.fault for table in report.tables if table.fault):
        names = ", ".join(table.name for table in report.tables if table.fault == fault)
        yield f"not all of {names} could be read: {fault}"
    for table in report.tables:
        if table.refused:
            yield f"{table.refused} rows of {table.name} were not taken over: they fit neither themselves nor the files"


def _named(names: tuple[str, ...], what: str) -> Iterator[str]:
    if names:
        yield f"{counted(len(names), 'file')} {what}:"
        yield from (f"  {name}" for name in names[:_MOST_NAMED])
        if len(names) > _MOST_NAMED:
            yield f"  and {len(names) - _MOST_NAMED} more (--json names all)"
