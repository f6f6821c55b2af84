"""The effective configuration: everything resolved, checked and absolute, so that nothing inside re-checks it."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import ClassVar

import msgspec

from pypim.config.document import Document
from pypim.config.secret import Secret
from pypim.core.access import Rules, Scope
from pypim.core.closure import FollowOptions, Root
from pypim.core.errors import InvalidConfig, InvalidUsage
from pypim.core.faults import ConfigFault
from pypim.core.followed import FollowRules
from pypim.core.inputs import InputFile
from pypim.core.patterns import ProjectPatterns, TagPatterns
from pypim.core.policy import Filters
from pypim.core.retention import OnRemoval
from pypim.core.rules import Rule
from pypim.core.target import TargetSpec


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """Where things are kept."""

    path: Path
    """Folder of the catalog and of pypim's own state."""
    files: Path
    """Folder that holds `packages/`."""


class Layout(StrEnum):
    """What is found at the URL of an upstream."""

    AUTO = "auto"
    """One of the others; which, only its answers tell."""
    SIMPLE = "simple"
    """A Simple API."""
    FLAT = "flat"
    """One page or folder that lists files, as for pip's --find-links."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """An index that is read; how to talk to it is in `pypim.config.access.fetch_options`. Times in seconds."""

    name: str
    url: str
    """Absolute, http, https or file; ends with "/" unless it is flat for certain."""
    page_url: str
    """The same as it was written: where a page that lists files is."""
    layout: Layout = Layout.AUTO
    username: Secret | None = None
    password: Secret | None = None
    token: Secret | None = None
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    proxy: Secret | None = None
    headers: dict[str, Secret] = {}
    contact: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    retries: int = 4
    max_connections: int = 16
    requests_per_second: float | None = None
    """None: a polite rate; 0: no limit."""
    max_rate_bytes: int | None = None
    """Of all downloads together, per second."""
    file_hosts: tuple[str, ...] = ()
    """URLs that end with "/", which stand in place of all before `packages/` in the URL of a file."""
    follow: FollowRules = FollowRules()


class PatternRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule for every project whose normalised name matches."""

    expression: re.Pattern[str]
    rule: Rule
    origin: str


class Read(StrEnum):
    """Who may read an index."""

    ANYONE = "anyone"
    AUTHENTICATED = "authenticated"
    """Users and tokens only."""


class MirrorIndex(msgspec.Struct, frozen=True, kw_only=True):
    """A chosen part of an upstream, which a sync copies."""

    kind: ClassVar[str] = "mirror"
    name: str
    read: Read = Read.ANYONE
    upstream: Upstream
    targets: dict[str, TargetSpec] = {}
    """By name; none at all means every environment."""
    roots: tuple[Root, ...] = ()
    """From `packages`, in the order of the file."""
    patterns: tuple[PatternRule, ...] = ()
    requirement_files: tuple[InputFile, ...] = ()
    """With absolute paths; read them with `Config.read_text`."""
    requirements: tuple[str, ...] = ()
    """Requirement lines of the command line, for this run only."""
    publish: Path | None = None
    on_removal: OnRemoval
    follow: FollowOptions
    filters: Filters
    jobs: int = 16
    max_seconds: float | None = None
    """How long a sync may take; None for no limit, as below."""
    max_bytes: int | None = None
    """How much a sync may fetch."""
    fills_proxy: bool = False
    """It stands for the proxy of its name: what is fetched is kept there, and nothing is listed."""

    @property
    def is_each_alone(self) -> bool:
        """Whether its projects, which may be very many, are independent of each other."""
        return not self.follow.is_followed and bool(self.patterns)


class ProxyIndex(msgspec.Struct, frozen=True, kw_only=True):
    """A whole upstream, of which what clients ask for is fetched then and kept."""

    kind: ClassVar[str] = "proxy"
    name: str
    read: Read
    upstream: Upstream
    max_age_seconds: float
    stale_while_revalidate_seconds: float
    """Counted from the end of its max-age, as is the next."""
    stale_if_error_seconds: float
    negative_max_age_seconds: float
    max_size_bytes: int | None
    pinned: ProjectPatterns
    """With or without versions."""
    is_offline: bool
    computes_metadata: bool
    filters: Filters

    def filled(self) -> MirrorIndex:
        """What a sync fills it with: that of the requirements of its command line."""
        return MirrorIndex(
            name=self.name,
            upstream=self.upstream,
            on_removal=OnRemoval(keeps_listed=True, delete_after=timedelta()),
            follow=FollowOptions(is_resolved=True),
            filters=self.filters,
            fills_proxy=True,
        )


class Overwrite(StrEnum):
    """Which files of a hosted index may be replaced."""

    NEVER = "never"
    DEVELOPMENT = "development"
    """Those of development releases (PEP 440)."""


class HostedIndex(msgspec.Struct, frozen=True, kw_only=True):
    """The index of one's own projects."""

    kind: ClassVar[str] = "hosted"
    name: str
    read: Read
    overwrite: Overwrite
    creators: frozenset[str] | None
    """Users and groups that may begin a project; None: everybody who may upload."""
    reserved: ProjectPatterns
    """Names that belong to it besides those of the projects that it has or had."""
    max_file_size_bytes: int | None
    max_project_size_bytes: int | None
    takes_local_versions: bool
    platform_tags: TagPatterns
    """Of the wheels that it takes; none at all means every tag."""


class GroupIndex(msgspec.Struct, frozen=True, kw_only=True):
    """Several indexes as one; the first that has a project answers for it."""

    kind: ClassVar[str] = "group"
    name: str
    read: Read
    members: tuple[str, ...]
    """All of them are configured, and none leads back to this group."""
    merged: ProjectPatterns
    """Projects whose files are taken from all members."""


Index = MirrorIndex | ProxyIndex | HostedIndex | GroupIndex
"""An index of any kind."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How the server listens and what it grants its clients. Times in seconds."""

    host: str
    port: int
    """0: any that is free."""
    unix_socket: Path | None
    """Where it listens instead."""
    workers: int
    backlog: int
    default_index: str | None
    """The index at /simple/; None where there is none."""
    root_path: str
    """"" or "/pypi": begins with a slash and does not end with one."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    tls_certificate: Path | None
    tls_key: Path | None
    """There whenever the certificate is."""
    accelerated: str
    """Like `root_path`; empty: the server sends files itself."""
    max_upload_size_bytes: int
    request_timeout: float
    """Without any progress."""
    header_timeout: float
    audit_log: Path | None


class Publisher(msgspec.Struct, frozen=True, kw_only=True):
    """A build that a CI service vouches for."""

    name: str
    issuer: str
    """URL, as the service writes it into its tokens."""
    audience: str
    claims: dict[str, frozenset[str]]
    """Each must be there with one of these values; at least one."""
    scope: Scope
    """Uploads to hosted indexes."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who may do what on the server."""

    rules: Rules
    publishers: dict[str, Publisher]


class FileUse(StrEnum):
    """What a file is named for."""

    REQUIREMENTS = "requirements"
    CERTIFICATE = "certificate"
    """Of an upstream."""
    SERVER = "server"
    """The server's certificate or its key."""


class NamedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the configuration names, and where it does so."""

    path: Path
    use: FileUse
    owner: str
    """The index or upstream that needs it; for the server, the key."""
    key: str
    """As in `indexes.main.requirements[1]`."""
    line: int | None


_PURPOSES = {
    ProxyIndex.kind: "it is a proxy, which fetches what clients ask for",
    HostedIndex.kind: "it is a hosted index, which holds what is uploaded to it",
    GroupIndex.kind: "it is a group, which holds nothing of its own",
}


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration; all paths are absolute."""

    source: str
    """The file's path as it is shown in messages."""
    document: Document
    """As it was written, with the defaults filled in."""
    store: Store
    upstreams: dict[str, Upstream]
    targets: dict[str, TargetSpec]
    indexes: dict[str, Index]
    server: Server
    access: Access
    named_files: tuple[NamedFile, ...] = ()
    virtual_files: dict[Path, str] = {}
    """Texts of files that do not exist yet, by absolute path."""

    @property
    def mirrors(self) -> tuple[MirrorIndex, ...]:
        """Those indexes that a sync fills."""
        return tuple(index for index in self.indexes.values() if isinstance(index, MirrorIndex))

    def chosen(self, name: str | None, *, is_needed: bool = True, may_fill: bool = False) -> tuple[MirrorIndex, ...]:
        """The mirror of that name, or all of them; none only where none `is_needed`. A proxy, if it `may_fill` one.

        Raises InvalidUsage for a name that is not configured, for an index of another kind, and where there is nothing.
        """
        if not self.indexes:
            raise InvalidUsage(f"{self.source}: no index is configured", hint="Add a table [indexes.main] to it.")
        if name is None:
            if is_needed and not self.mirrors:
                raise InvalidUsage(
                    f"{self.source}: no mirror is configured, and this command is about mirrors",
                    hint=f"`pypim serve` serves what is: {', '.join(self.indexes)}.",
                )
            return self.mirrors
        if name not in self.indexes:
            raise self._unknown(name)
        index = self.indexes[name]
        if isinstance(index, MirrorIndex):
            return (index,)
        if isinstance(index, ProxyIndex) and may_fill:
            return (index.filled(),)
        if not is_needed:
            return ()
        mirrors = ", ".join(mirror.name for mirror in self.mirrors) or "none"
        raise InvalidUsage(
            f"--index {name}: {_PURPOSES[index.kind]}; this command is about mirrors",
            hint=f"`pypim serve` serves {name}. Mirrors that are configured: {mirrors}.",
        )

    def of_any_kind(self, name: str | None) -> tuple[Index, ...]:
        """The index of that name, or all of them. Raises InvalidUsage for a name that is not configured."""
        if name is None:
            return tuple(self.indexes.values())
        if name not in self.indexes:
            raise self._unknown(name)
        return (self.indexes[name],)

    def _unknown(self, name: str) -> InvalidUsage:
        return InvalidUsage(
            f"--index {name}: {self.source} has no index of that name",
            hint=f"Indexes that are configured: {', '.join(self.indexes)}.",
        )

    def read_text(self, path: Path) -> str:
        """The text of a requirements file. Raises InvalidConfig where it cannot be read."""
        if path in self.virtual_files:
            return self.virtual_files[path]
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            fault = ConfigFault(file=str(path), message="this is not UTF-8 text", remedy="Save it as UTF-8.")
            raise InvalidConfig(self.source, [fault]) from None
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise InvalidConfig(self.source, [self.file_fault(path, reason)]) from None

    def file_fault(self, path: Path, reason: str) -> ConfigFault:
        """The fault of a file that cannot be had, at the place where it is named."""
        remedy = "Correct the path, or take it out."
        for named in self.named_files:
            if named.path == path:
                return ConfigFault(
                    file=self.source, line=named.line, key=named.key, message=f"{path}: {reason}", remedy=remedy
                )
        return ConfigFault(file=str(path), message=reason, remedy=remedy)
