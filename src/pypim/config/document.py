"""The configuration as it is written: every table and key with its type and its description.

These types are the source of the JSON Schema and of the reference; `pypim.config.effective` turns them into a Config.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pypim.core.policy import Filters
from pypim.core.target import TargetSpec

Text = str | tuple[str, ...]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


def _told(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class _Table(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Keys are written with hyphens, and none is known that is not here."""


class StoreTable(_Table, frozen=True):
    """Where pypim keeps its own state and the files."""

    path: Annotated[str, _told("Folder of the catalog and pypim's state, relative to this file.")] = "data"
    files: Annotated[
        str | None, _told("Folder that holds packages/ with the distribution files; the store's path when left out.")
    ] = None


class UpstreamTable(_Table, frozen=True):
    """An index that is read. Secrets may be written as "env:NAME" or "file:PATH"."""

    url: Annotated[
        str,
        _told('"pypi" (the preset), the URL of a Simple API (http, https or file), or a path relative to this file.'),
    ] = ""
    layout: Annotated[
        Literal["auto", "simple", "flat"],
        _told(
            '"simple": a Simple API; "flat": one page or folder that lists files; "auto": whichever it proves to be.'
        ),
    ] = "auto"
    username: Annotated[str | None, _told("User name for HTTP basic authentication.")] = None
    password: Annotated[str | None, _told("Password for HTTP basic authentication.")] = None
    token: Annotated[str | None, _told("An API token, sent as a bearer token.")] = None
    ca: Annotated[str | None, _told("File with the certificates of the authorities to trust, PEM.")] = None
    client_certificate: Annotated[str | None, _told("File with the client's certificate, PEM.")] = None
    client_key: Annotated[str | None, _told("File with the key of the client's certificate, PEM.")] = None
    proxy: Annotated[str | None, _told("URL of the proxy; else the usual environment variables count.")] = None
    headers: Annotated[dict[str, str], _told("Further headers for every request.")] = {}
    contact: Annotated[str | None, _told("An address in the User-Agent, so that operators can reach you.")] = None
    connect_timeout: Annotated[Seconds, _told("Seconds to wait for a connection.")] = 10.0
    read_timeout: Annotated[Seconds, _told("Seconds to wait for the next bytes.")] = 30.0
    retries: Annotated[Count, _told("How often a request that failed for a passing reason is sent again.")] = 4
    max_connections: Annotated[AtLeastOne, _told("Connections at once.")] = 16
    requests_per_second: Annotated[Seconds | None, _told("Upper bound on the request rate; none when left out.")] = None


class DependenciesTable(_Table, frozen=True):
    """Whether and how far the requirements of what is chosen are followed."""

    follow: Annotated[bool, _told("Mirror what the chosen releases require, too.")] = True
    versions: Annotated[
        Literal["newest", "all", "resolve"],
        _told(
            'Of each requirement "resolve": what a complete resolver needs, so that all roots install from the mirror '
            'alone; "newest": the newest release that matches; "all": every one that matches.'
        ),
    ] = "resolve"
    extras: Annotated[
        Literal["requested", "all"] | tuple[str, ...],
        _told('Which extras of a project are followed: those "requested", "all", or those in this list.'),
    ] = "requested"
    build: Annotated[
        bool,
        _told("Also what builds an sdist, where a target can install nothing else of a release (PEP 518)."),
    ] = True
    max_depth: Annotated[Count, _told("How many steps to follow; 0: no limit.")] = 0


class IndexTable(_Table, frozen=True):
    """An index that clients install from."""

    kind: Annotated[str, _told('What the index is: "mirror".')] = "mirror"
    upstream: Annotated[str | None, _told("Name of the upstream; may be left out where there is only one.")] = None
    targets: Annotated[
        tuple[str, ...], _told("Names of the targets the index is for; none at all means every environment.")
    ] = ()
    requirements: Annotated[
        tuple[str, ...],
        _told(
            "Files that say what is held, relative to this file: requirements files, each line a root of the mirror; "
            '"pyproject.toml", "pyproject.toml[extra]", "pyproject.toml:group"; and locks, whose files are held '
            "exactly: uv.lock, pylock.toml, poetry.lock, pdm.lock, Pipfile.lock."
        ),
    ] = ()
    publish: Annotated[str | None, _told("Folder to write a static tree into, for any web server.")] = None
    on_removal: Annotated[
        str,
        _told('What happens to files that are no longer chosen: "keep", "prune", or "prune-after N days".'),
    ] = "prune-after 30 days"
    jobs: Annotated[AtLeastOne, _told("How many downloads at once.")] = 16
    packages: Annotated[
        dict[str, Text],
        _told(
            'Project (with extras in brackets) = rule or list of rules: "latest", "2 latest", "2 latest<3.0", '
            '">=1.2,<3", "1.2".'
        ),
    ] = {}
    patterns: Annotated[
        dict[str, Text], _told("Regular expression on the whole normalised name = rule or list of rules.")
    ] = {}
    dependencies: DependenciesTable = DependenciesTable()
    filters: Filters = Filters()


class Document(_Table, frozen=True):
    """The configuration of pypim, the PyPI Intelligent Mirror."""

    store: StoreTable = StoreTable()
    upstreams: Annotated[dict[str, UpstreamTable], _told("The indexes that are read, by name.")] = {}
    targets: Annotated[
        dict[str, TargetSpec], _told("Families of machines, by name: Python versions, platforms, implementations.")
    ] = {}
    indexes: Annotated[dict[str, IndexTable], _told("The indexes that clients install from, by name.")] = {}
