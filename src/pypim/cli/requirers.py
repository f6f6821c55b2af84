"""The questions of `list` that go from one project to others: who requires it, and what it requires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import InvalidUsage, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.cli.output import Session
    from pypim.cli.workspace import Workspace
    from pypim.config.model import Index
    from pypim.core.required import KnownRequirement
    from pypim.wiring import OpenStore

_MOST_VERSIONS = 8
"""So many are named in a line; --json has all."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked."""

    requires: str | None = None
    required_by: str | None = None
    only_held: bool = False


def check(asked: Asked, project: str | None) -> None:
    """Raises InvalidUsage for what does not go together."""
    is_reverse = asked.requires is not None or asked.required_by is not None
    if (asked.requires is not None) + (asked.required_by is not None) + (project is not None) > 1:
        message = "--requires, --required-by and the name of a project exclude each other"
        raise InvalidUsage(message, hint="Ask one question at a time.")
    if asked.only_held and not is_reverse:
        message = "--held goes with --requires or --required-by"
        raise InvalidUsage(message, hint="Without them, `pypim list` shows only what is held anyway.")


def show(session: Session, found: Workspace, indexes: Iterable[Index], asked: Asked) -> int:
    """Answer --requires or --required-by. Raises InvalidName, InvalidUsage, or NotFound where X is not known at all."""
    from pypim.core.required import admits, release_of
    from pypim.wiring import open_store

    name, version = _release(asked.requires or asked.required_by or "")
    with open_store(found.config, writable=False) as store:
        facts = store.catalog.facts
        indexes = list(indexes)
        _require_known(store, indexes, name)
        if asked.requires is not None:
            known = facts.requiring(name)
            known = [one for one in known if version is None or admits(one.specifier, version)]
        else:
            known = facts.required_by(name, None if version is None else release_of(str(version)))
        if asked.only_held:
            held = _held(store, indexes, {one.project for one in known})
            known = [one for one in known if (one.project, one.version) in held]

    def prose() -> None:
        lines = list(_lines(known))
        question = f"requires {asked.requires}" if asked.requires is not None else f"is required by {asked.required_by}"
        session.say("\n".join(lines) if lines else f"Nothing that is known {question}.")

    return session.emit({"command": "list", "releases": (), "requirements": known}, prose)


def _release(text: str) -> tuple[NormalizedName, Version | None]:
    """`PROJECT` or `PROJECT==VERSION`."""
    from pypim.core.filenames import parse_version
    from pypim.core.names import parse_name

    project, equals, version = text.partition("==")
    parsed = parse_version(version.strip()) if equals else None
    if equals and parsed is None:
        raise InvalidUsage(f"{text}: {version.strip()!r} is no version", hint="Write it as PROJECT==1.2.")
    return parse_name(project.strip()), parsed


def _require_known(store: OpenStore, indexes: Iterable[Index], name: NormalizedName) -> None:
    """Raises NotFound: where nothing was learned of a project, that nothing is found is no answer."""
    catalog = store.catalog
    if catalog.counts.is_known(name) or catalog.facts.requiring(name) or catalog.facts.required_by(name):
        return
    if not _held(store, indexes, {name}):
        hint = "Run `pypim metadata`, which learns of all projects, and check the spelling."
        raise NotFound(f"{name}: nothing is known of it, neither a page nor a requirement", hint=hint)


def _held(store: OpenStore, indexes: Iterable[Index], names: set[NormalizedName]) -> set[tuple[str, str]]:
    """Those releases of some projects that mirrors have chosen."""
    held: set[tuple[str, str]] = set()
    for index in indexes:
        held |= store.catalog.counts.releases_among(index.name, names)
    return held


def _lines(known: list[KnownRequirement]) -> Iterator[str]:
    """One line for each way in which a project requires, with the releases that do."""
    versions: dict[tuple[str, str, bool, bool], list[str]] = {}
    for one in known:
        versions.setdefault((one.project, one.requirement, one.is_build, one.is_described), []).append(one.version)
    for (project, requirement, is_build, is_described), releases in versions.items():
        named = ", ".join(release or "?" for release in releases[:_MOST_VERSIONS])
        more = f" and {len(releases) - _MOST_VERSIONS:,} more" if len(releases) > _MOST_VERSIONS else ""
        notes = [note for note, holds in (("to build", is_build), ("as described", is_described)) if holds]
        suffix = f"  ({', '.join(notes)})" if notes else ""
        yield f"{project} {named}{more}: {requirement}{suffix}"
