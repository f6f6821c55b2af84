"""The documents of the API: what its endpoints take and answer, as types from which its description is made."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pypim.core.access import Action
from pypim.core.account_rows import TokenRow, UserRow
from pypim.core.chains import IndexKept
from pypim.core.model import ProjectStatus
from pypim.index.group_said import GroupSaid
from pypim.web import upload_routes

MOST_PROJECTS = 10_000
"""In one answer."""
Lasting = Annotated[str, Meta(pattern="^[1-9][0-9]{0,3} (minute|hour|day)s?$")]
Glob = Annotated[str, Meta(max_length=200, pattern="^[A-Za-z0-9*?]([A-Za-z0-9._*?-]*[A-Za-z0-9*?])?$")]
Reason = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$")]
Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not answered."""

    code: str
    """The status and the sentence."""
    title: str
    """What HTTP calls the status."""
    message: str
    """The sentence, and what to do next."""
    kind: str
    """Stable, in kebab-case: see the reference of errors."""


class IndexEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One index that the sender may read."""

    name: str
    kind: str
    """"mirror", "proxy", "hosted" or "group"."""
    read: str
    """"anyone" or "authenticated"."""
    is_default: bool
    """Whether it is the one at /simple/, too."""
    simple_url: str
    """Where installers find it."""


class Indexes(msgspec.Struct, frozen=True, kw_only=True):
    """The indexes, in the order of the configuration."""

    indexes: tuple[IndexEntry, ...]


class Projects(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the projects of which an index holds something, by name."""

    index: str
    projects: tuple[str, ...]
    """Normalised names (PEP 503)."""
    next: str | None
    """The value of `after` for those that follow; null at the end."""


class ProjectsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which projects."""

    after: Annotated[str, Meta(max_length=300, description="Only projects whose names come after this one.")] = ""
    limit: Annotated[int, Meta(ge=1, le=MOST_PROJECTS, description="So many at most.")] = 1000


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One distribution file of a project."""

    filename: str
    url: str
    """Where this server gives it out."""
    size: int | None
    """In bytes; null where the upstream does not say and it is not held."""
    hashes: dict[str, str]
    """Algorithm to hex digits."""
    upload_time: str | None
    requires_python: str | None
    is_yanked: bool
    """PEP 592."""
    yanked_reason: str | None
    has_metadata: bool
    """Whether its core metadata is at `url` with `.metadata` behind it (PEP 658)."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project as the index shows it."""

    index: str
    project: str
    status: ProjectStatus
    """PEP 792; a project in quarantine shows no files."""
    status_reason: str | None
    serial: int | None
    files: tuple[FileEntry, ...]


class WhyQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which release."""

    version: Annotated[str, Meta(max_length=200, description="Only this release.")] = ""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why an index shows what it shows of a project, as `pypim why --json` says it."""

    kept: tuple[IndexKept, ...] = ()
    """Of a mirror: each release with the chains that keep it."""
    groups: tuple[GroupSaid, ...] = ()
    """Of a group: which member answers, and what the others have."""


class ReasonQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Why a change is made."""

    reason: Annotated[Reason, Meta(description="For the audit log.")] = ""


class YankBody(upload_routes.YankBody):
    """Why a release is yanked (PEP 592); may be left out."""

    reason: Reason = ""


class StatusBody(upload_routes.StatusBody):
    """The status that a project is to have (PEP 792), and why."""

    reason: Reason = ""


class Yanked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A release that was yanked, or is no longer (PEP 592)."""

    project: str
    version: str
    yanked: bool
    reason: str = ""


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is gone; its name is not used again."""

    project: str
    filename: str
    deleted: bool


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """The status that a project has now (PEP 792)."""

    project: str
    status: ProjectStatus
    reason: str


class TokensQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tokens."""

    all: Annotated[bool, Meta(description="Also those that are expired or revoked.")] = False


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens without their secrets, the oldest first."""

    tokens: tuple[TokenRow, ...]


class TokenBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token that is wanted."""

    may: Annotated[tuple[Action, ...], Meta(min_length=1)]
    """What it may do."""
    user: Text | None = None
    """Whose rights limit it further; without one its scope alone counts."""
    label: Text = ""
    """A word to know it by."""
    indexes: tuple[Text, ...] = ()
    """For these indexes; empty: for all."""
    projects: tuple[Glob, ...] = ()
    """Names and globs; empty: every project."""
    expires: Lasting | None = None
    """"90 days", "12 hours"; null: never."""


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was just made."""

    token: str
    """Its text, which is shown this once."""
    kept: TokenRow


class RevokedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that nothing accepts any more."""

    id: str
    revoked: bool


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """The users, by name."""

    users: tuple[UserRow, ...]
