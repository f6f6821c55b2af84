"""The configuration as it is written: every table and key with its type and its description.

These types are the source of the JSON Schema and of the reference; `pypim.config.effective` turns them into a Config.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pypim.core.policy import Filters
from pypim.core.target import TargetSpec

Text = str | tuple[str, ...]
Size = str | int
Read = Literal["anyone", "authenticated"]
Action = Literal["read", "upload", "yank", "delete", "admin"]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400)]
Count = Annotated[int, msgspec.Meta(ge=0)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Workers = Annotated[int, msgspec.Meta(ge=1, le=256)]
Connections = Annotated[int, msgspec.Meta(ge=1, le=65535)]


def _told(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


_READ = _told('Who may read it: "anyone", or "authenticated" for users and tokens only; access.read when left out.')


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
    requests_per_second: Annotated[
        Annotated[float, msgspec.Meta(ge=0)] | None,
        _told(
            "Upper bound on the request rate; 0: none. When left out, hosts other than this machine are asked 100 "
            "times a second at most, once 2,000 requests that were saved up are spent."
        ),
    ] = None
    max_rate: Annotated[
        Size | None,
        _told('Bytes per second at most, of all downloads from the upstream together: "10 MB". None: no limit.'),
    ] = None
    file_hosts: Annotated[
        tuple[str, ...],
        _told(
            "URLs of mirrors where files are looked for first, each in place of what stands before packages/ in the "
            "upstream's URL of a file; the hash is always that of the upstream's page, and what fails comes from the "
            "upstream itself."
        ),
    ] = ()
    follow: Annotated[
        Literal["auto", "xml-rpc", "json", "html", "projects"],
        _told(
            'How to learn what has changed: "xml-rpc" (the changelog of the warehouse), "json" or "html" (the list of '
            'all projects), "projects" (only the pages of projects that matter); "auto": the cheapest that works.'
        ),
    ] = "auto"
    stale_after: Annotated[
        str, _told("How long a list or page that is older than it must be is refused; then it is taken all the same.")
    ] = "1 day"
    removal_confirmations: Annotated[
        AtLeastOne, _told("How often a project must be found missing before it counts as removed.")
    ] = 3
    removal_time: Annotated[str, _told("How much time must lie between the first and the last of them.")] = "2 days"
    most_removed: Annotated[
        Count,
        _told(
            "More projects than that are not taken as removed at once, where they are also more than the percentage."
        ),
    ] = 20
    most_removed_percent: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=100)], _told("The percentage of all projects that goes with it.")
    ] = 1.0


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


class MirrorTable(_Table, frozen=True, tag_field="kind", tag="mirror"):
    """A chosen part of an upstream, with everything that it needs to install: a sync copies it."""

    read: Annotated[Read | None, _READ] = None
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
        _told(
            'What happens to files that are no longer chosen: "keep", "keep-and-yank" (what the upstream has removed '
            'stays listed and is marked as yanked), "prune", or "prune-after N days".'
        ),
    ] = "prune-after 30 days"
    jobs: Annotated[AtLeastOne, _told("How many downloads at once.")] = 16
    max_time: Annotated[
        str | None,
        _told('A sync that takes longer stops in good order, and the next one goes on: "6 hours". None: no limit.'),
    ] = None
    max_bytes: Annotated[
        Size | None,
        _told('A sync fetches at most so much, and the next one goes on: "50 GB" or bytes. None: no limit.'),
    ] = None
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


class ProxyTable(_Table, frozen=True, tag_field="kind", tag="proxy"):
    """A whole upstream, of which what clients ask for is fetched then and kept."""

    read: Annotated[Read | None, _READ] = None
    upstream: Annotated[str | None, _told("Name of the upstream; may be left out where there is only one.")] = None
    max_age: Annotated[str, _told("How long a page is given out before the upstream is asked again.")] = "10 minutes"
    stale_while_revalidate: Annotated[
        str, _told("How long after that it is still given out at once, while the upstream is being asked.")
    ] = "5 minutes"
    stale_if_error: Annotated[
        str, _told("How long after its max-age a page is still given out while the upstream fails.")
    ] = "1 day"
    negative_max_age: Annotated[str, _told("How long it is believed that the upstream has no such project.")] = (
        "1 minute"
    )
    max_size: Annotated[
        Size | None,
        _told('How much may be kept, "50 GB" or bytes: what was not used for longest goes first. None: no limit.'),
    ] = None
    pinned: Annotated[
        tuple[str, ...],
        _told('Names, globs and requirements whose files stay in spite of max-size: "numpy", "torch>=2".'),
    ] = ()
    offline: Annotated[bool, _told("Answer only from what is kept and never ask the upstream.")] = False
    metadata: Annotated[bool, _told("Also offer the core metadata of wheels for which the upstream does not.")] = True
    filters: Filters = Filters()


class HostedTable(_Table, frozen=True, tag_field="kind", tag="hosted"):
    """The index of your own projects: clients upload to it."""

    read: Annotated[Read | None, _READ] = None
    overwrite: Annotated[
        Literal["never", "development"],
        _told('Whether a file may be replaced: "never", or only those of "development" releases (PEP 440: .devN).'),
    ] = "never"
    create: Annotated[
        Literal["anyone", "nobody"] | tuple[str, ...],
        _told(
            'Who may begin a project: "anyone" with the right to upload, "nobody", or the users and groups of this '
            "list."
        ),
    ] = "anyone"
    reserve: Annotated[
        tuple[str, ...],
        _told(
            "Names and globs that no group looks up in another member; every project that the index has or had is "
            "reserved without that."
        ),
    ] = ()
    max_file_size: Annotated[Size | None, _told('Size of one file at most: "100 MB" or bytes. None: no limit.')] = None
    max_project_size: Annotated[
        Size | None, _told('Size of all files of a project at most: "10 GB" or bytes. None: no limit.')
    ] = None
    local_versions: Annotated[bool, _told('Take versions with a local part, such as "1.0+cu124".')] = True
    platform_tags: Annotated[
        tuple[str, ...],
        _told('When given, only wheels all of whose platform tags match one of these: "any", "manylinux_*".'),
    ] = ()


class GroupTable(_Table, frozen=True, tag_field="kind", tag="group"):
    """Several indexes as one: the first that has a project answers for it."""

    read: Annotated[
        Read | None,
        _told(
            'Who may read it: "anyone" or "authenticated". When left out: access.read, and "authenticated" where a '
            "member is."
        ),
    ] = None
    members: Annotated[tuple[str, ...], _told("Names of the indexes, in the order in which they are asked.")] = ()
    merge: Annotated[
        tuple[str, ...],
        _told("Names and globs of projects whose files are taken from all members instead of the first that has it."),
    ] = ()


IndexTable = MirrorTable | ProxyTable | HostedTable | GroupTable
"""An index of any kind; the first is meant where no kind is written."""


class ServerTable(_Table, frozen=True):
    """How `pypim serve` listens and what it grants its clients."""

    host: Annotated[str, _told("Address to listen at.")] = "127.0.0.1"
    port: Annotated[Port, _told("Port to listen at; 0: any that is free.")] = 8080
    unix_socket: Annotated[str | None, _told("Path of a Unix socket to listen at instead.")] = None
    workers: Annotated[Workers, _told("How many processes answer.")] = 1
    backlog: Annotated[
        Connections,
        _told("How many connections are open at once, over all workers; as many more wait until one is closed."),
    ] = 1024
    default_index: Annotated[
        str | None,
        _told("Index that answers at /simple/. When left out: the only index, or else the only group, or else none."),
    ] = None
    root_path: Annotated[str, _told('Path under which a proxy in front offers the server: "/pypi".')] = ""
    trusted_proxies: Annotated[
        tuple[str, ...], _told("Addresses and networks whose X-Forwarded-* headers are believed.")
    ] = ("127.0.0.1", "::1")
    tls_certificate: Annotated[str | None, _told("File with the server's certificate and its chain, PEM.")] = None
    tls_key: Annotated[str | None, _told("File with the key of the certificate, PEM.")] = None
    accelerated: Annotated[
        str | None,
        _told(
            'Location of nginx that leads to the store\'s files ("/held"): it sends them (X-Accel-Redirect), being '
            "one of `trusted-proxies` that adds an X-Forwarded-* header."
        ),
    ] = None
    max_upload_size: Annotated[Size, _told('Size of one upload at most: "1 GB" or bytes.')] = "1 GB"
    request_timeout: Annotated[
        Seconds, _told("Seconds for which a client may neither send nor take anything before it is cut off.")
    ] = 60.0
    header_timeout: Annotated[Seconds, _told("Seconds in which a client has to send the head of a request.")] = 30.0
    audit_log: Annotated[
        str | None, _told("File to which every write and every refusal is appended, a line of JSON each.")
    ] = None


class RightTable(_Table, frozen=True):
    """What some users may do with some projects."""

    who: Annotated[
        Text, _told('Names of users and groups; "authenticated" is every user, and "anyone" also who has no name.')
    ] = ()
    index: Annotated[Text, _told('Names of indexes, or "*" for every one.')] = "*"
    projects: Annotated[Text, _told('Names and globs of projects: "acme-*".')] = "*"
    may: Annotated[
        tuple[Action, ...], _told('What is allowed: "read", "upload", "yank" (and take back), "delete", "admin".')
    ] = ()


class PublisherTable(_Table, frozen=True):
    """A build whose identity its CI service vouches for: it uploads without a password (Trusted Publishing)."""

    issuer: Annotated[str, _told("URL of the OpenID Connect issuer.")] = ""
    audience: Annotated[str, _told("Audience for which its tokens must be made out.")] = "pypim"
    claims: Annotated[
        dict[str, Text], _told("What a token must claim: name = value, or a list of values one of which it must be.")
    ] = {}
    index: Annotated[Text, _told("Names of the hosted indexes that it uploads to.")] = ()
    projects: Annotated[Text, _told('Names and globs of the projects that it uploads: "acme-*".')] = ()


class AccessTable(_Table, frozen=True):
    """Who may do what on the server; users and tokens themselves are kept in the store."""

    read: Annotated[Read, _told('Who may read an index that says nothing else: "anyone" or "authenticated".')] = (
        "anyone"
    )
    open_on_loopback: Annotated[
        bool, _told("Take writes without a token from this machine, as long as the store has no users and no tokens.")
    ] = False
    failures_per_minute: Annotated[
        AtLeastOne, _told("Wrong passwords and tokens per minute, after which an address has to wait.")
    ] = 10
    groups: Annotated[dict[str, tuple[str, ...]], _told("Groups of users: name = list of users.")] = {}
    rights: Annotated[tuple[RightTable, ...], _told("What users and groups may do, each an [[access.rights]].")] = ()
    publishers: Annotated[
        dict[str, PublisherTable], _told("Builds that may upload (Trusted Publishing), by name.")
    ] = {}


class Document(_Table, frozen=True):
    """The configuration of pypim, the PyPI Intelligent Mirror."""

    store: StoreTable = StoreTable()
    upstreams: Annotated[dict[str, UpstreamTable], _told("The indexes that are read, by name.")] = {}
    targets: Annotated[
        dict[str, TargetSpec], _told("Families of machines, by name: Python versions, platforms, implementations.")
    ] = {}
    indexes: Annotated[dict[str, IndexTable], _told("The indexes that clients install from, by name.")] = {}
    server: ServerTable = ServerTable()
    access: AccessTable = AccessTable()
