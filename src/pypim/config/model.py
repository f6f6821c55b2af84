"""The effective configuration: everything resolved, checked and absolute, so that nothing inside re-checks it."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import msgspec

from pypim.config.document import Document
from pypim.config.secret import Secret
from pypim.core.closure import FollowOptions, Root
from pypim.core.errors import InvalidConfig, InvalidUsage
from pypim.core.faults import ConfigFault
from pypim.core.inputs import InputFile
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


class PatternRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule for every project whose normalised name matches."""

    expression: re.Pattern[str]
    rule: Rule
    origin: str


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """An index that clients install from."""

    name: str
    kind: str = "mirror"
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


class FileUse(StrEnum):
    """What a file is named for."""

    REQUIREMENTS = "requirements"
    CERTIFICATE = "certificate"


class NamedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the configuration names, and where it does so."""

    path: Path
    use: FileUse
    owner: str
    """The index or upstream that needs it."""
    key: str
    """As in `indexes.main.requirements[1]`."""
    line: int | None


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
    named_files: tuple[NamedFile, ...] = ()
    virtual_files: dict[Path, str] = {}
    """Texts of files that do not exist yet, by absolute path."""

    def chosen(self, name: str | None) -> tuple[Index, ...]:
        """The index of that name, or all of them. Raises InvalidUsage for a name that is not configured."""
        if not self.indexes:
            raise InvalidUsage(f"{self.source}: no index is configured", hint="Add a table [indexes.main] to it.")
        if name is None:
            return tuple(self.indexes.values())
        if name not in self.indexes:
            known = ", ".join(self.indexes) or "none"
            raise InvalidUsage(
                f"--index {name}: {self.source} has no index of that name",
                hint=f"Indexes that are configured: {known}.",
            )
        return (self.indexes[name],)

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
