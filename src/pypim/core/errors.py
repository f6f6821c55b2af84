"""Every error pypim raises on purpose, in families by what the caller must do about it.

An error is data: a kebab-case `code`, its parts as attributes, and one sentence built from them; `hint` says what
to do next. A family decides the exit status of the command line (and, in the server, the HTTP status).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pypim.core.faults import ConfigFault
from pypim.core.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence


class PypimError(Exception):
    """The root of the family: `code` names the kind, `hint` the remedy, `exit_status` the outcome of a command."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


# --- NotFound: try the next index -----------------------------------------------------------------------------------
class NotFound(PypimError):
    """What was asked for is not there, and the other side said so for certain."""

    code = "not-found"
    exit_status = 3


class ProjectNotFound(NotFound):
    """The index has no such project (HTTP 404, or no folder of that name)."""

    code = "project-not-found"

    def __init__(self, project: str, index: str) -> None:
        super().__init__(
            f"{index}: no project named {project!r}",
            hint="Check the spelling, or add an upstream that has it.",
        )
        self.project = project
        self.index = index


class MetadataNotFound(NotFound):
    """No core metadata can be had for this file on any of the ways that do not run code."""

    code = "metadata-not-found"

    def __init__(self, filename: str, tried: Sequence[str]) -> None:
        super().__init__(f"{filename}: no core metadata ({'; '.join(tried) or 'nothing to try'})")
        self.filename = filename
        self.tried = tuple(tried)


# --- Refused: stop, never fall through ------------------------------------------------------------------------------
class Refused(PypimError):
    """A rule or an authority said no."""

    code = "refused"
    exit_status = 4


class NotAuthenticated(Refused):
    """The other side wants credentials (HTTP 401)."""

    code = "not-authenticated"

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{without_secrets(where)}: credentials are missing or wrong (401)",
            hint="Set username/password or token for this upstream, or add it to your netrc file.",
        )
        self.where = without_secrets(where)


class NotAuthorised(Refused):
    """The credentials are known and do not suffice (HTTP 403)."""

    code = "not-authorised"

    def __init__(self, where: str) -> None:
        where = without_secrets(where)
        super().__init__(f"{where}: access is forbidden (403)", hint="Ask for access, or use other credentials.")
        self.where = where


# --- Invalid: the sender's fault ------------------------------------------------------------------------------------
class Invalid(PypimError):
    """The input cannot be used as it is; the message names the place."""

    code = "invalid"
    exit_status = 2


class InvalidName(Invalid):
    """Not a project name (names and normalisation: PyPA specification "Names and normalization")."""

    code = "invalid-name"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} is not a project name",
            hint="A name has ASCII letters, digits, '.', '-', '_', and begins and ends with a letter or digit.",
        )
        self.name = name


class InvalidFilename(Invalid):
    """Not usable as one safe part of a path."""

    code = "invalid-filename"

    def __init__(self, filename: str, reason: str) -> None:
        super().__init__(f"{filename!r} is not a usable file name: {reason}")
        self.filename = filename
        self.reason = reason


class InvalidConfig(Invalid):
    """One or more faults of a configuration and of the files that it names; all of them are reported at once.

    A fault of the file itself may be given as `(line or None, message)`.
    """

    code = "invalid-config"

    def __init__(self, path: str, faults: Sequence[ConfigFault | tuple[int | None, str]], *, hint: str = "") -> None:
        self.path = path
        self.faults = tuple(
            fault if isinstance(fault, ConfigFault) else ConfigFault(file=path, line=fault[0], message=fault[1])
            for fault in faults
        )
        super().__init__("\n".join(map(str, self.faults)), hint=hint)


class InvalidRequirement(Invalid):
    """A requirement, rule, target or pattern that cannot be read; `where` is `file:line` or the option's name."""

    code = "invalid-requirement"

    def __init__(self, where: str, text: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{where}: {text!r}: {reason}", hint=hint)
        self.where = where
        self.text = text
        self.reason = reason


class InvalidUsage(Invalid):
    """Options that do not go together, or an option for something that is not there."""

    code = "invalid-usage"


# --- Conflict -------------------------------------------------------------------------------------------------------
class Conflict(PypimError):
    """Two things claim one place."""

    code = "conflict"
    exit_status = 5


# --- UpstreamFault: serve stale if allowed, else stop ---------------------------------------------------------------
class UpstreamFault(PypimError):
    """The upstream did not answer as an index should. Never read as "deleted"."""

    code = "upstream-fault"
    exit_status = 6

    def __init__(
        self,
        where: str,
        reason: str,
        *,
        is_transient: bool = False,
        retry_after_seconds: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(without_secrets(f"{where}: {reason}"), hint=without_secrets(hint))
        self.where = without_secrets(where)
        self.reason = without_secrets(reason)
        self.is_transient = is_transient
        self.retry_after_seconds = retry_after_seconds


class UpstreamUnavailable(UpstreamFault):
    """No connection, a 5xx or a 429 after all retries."""

    code = "upstream-unavailable"


class UpstreamTimeout(UpstreamFault):
    """The upstream was too slow after all retries."""

    code = "upstream-timeout"


class UpstreamMalformed(UpstreamFault):
    """The answer cannot be read, is of an unknown major version, is too large, or redirects where it must not."""

    code = "upstream-malformed"


# --- IntegrityFault: never served, counted, loud --------------------------------------------------------------------
class IntegrityFault(PypimError):
    """Bytes are not what they were promised to be."""

    code = "integrity-fault"
    exit_status = 7


class DigestMismatch(IntegrityFault):
    """The content has another digest than the index listed."""

    code = "digest-mismatch"

    def __init__(self, filename: str, algorithm: str, expected: str, actual: str) -> None:
        super().__init__(
            f"{filename}: {algorithm} is {actual}, the index lists {expected}",
            hint="The file was not kept. Run the command again; if it stays, tell the upstream's operators.",
        )
        self.filename = filename
        self.algorithm = algorithm
        self.expected = expected
        self.actual = actual


class HashNotAllowed(IntegrityFault):
    """The content has none of the hashes that a requirement allows; `actual` and `allowed` are "algorithm:hex"."""

    code = "hash-not-allowed"

    def __init__(self, filename: str, actual: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"{filename}: {actual} is none of the hashes that the requirement allows: {', '.join(allowed)}",
            hint="The file was not kept. Find out who changed it; if it is right, add its hash to the requirement.",
        )
        self.filename = filename
        self.actual = actual
        self.allowed = tuple(allowed)


class SizeMismatch(IntegrityFault):
    """The content has another size than the index or the answer announced. Sizes in bytes."""

    code = "size-mismatch"

    def __init__(self, filename: str, expected: int, actual: int) -> None:
        super().__init__(
            f"{filename}: {actual} bytes, {expected} announced",
            hint="The file was not kept. Run the command again; if it stays, tell the upstream's operators.",
        )
        self.filename = filename
        self.expected = expected
        self.actual = actual


class CorruptBlob(IntegrityFault):
    """A file that we hold no longer has the bytes that were stored."""

    code = "corrupt-blob"

    def __init__(self, filename: str, reason: str) -> None:
        super().__init__(f"{filename}: {reason}", hint="Run `pypim verify --repair` to fetch it again.")
        self.filename = filename
        self.reason = reason


class MetadataDiffers(IntegrityFault):
    """The core metadata that the index advertises is not that of the wheel (PEP 658 wants the same bytes)."""

    code = "metadata-differs"

    def __init__(self, filename: str, expected: str, actual: str) -> None:
        super().__init__(f"{filename}: METADATA has sha256 {actual}, the index lists {expected}")
        self.filename = filename
        self.expected = expected
        self.actual = actual


# --- StoreFault: stop -----------------------------------------------------------------------------------------------
class StoreFault(PypimError):
    """The store cannot be read or written."""

    code = "store-fault"
    exit_status = 8


class StoreUnwritable(StoreFault):
    """The folder cannot be made or written (permissions, read-only, not a folder)."""

    code = "store-unwritable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path}: cannot be written: {reason}",
            hint="Choose another folder, or give this user the right to write there.",
        )
        self.path = path
        self.reason = reason


class StoreUnreadable(StoreFault):
    """A file or folder of the store cannot be read (permissions, a failing disk)."""

    code = "store-unreadable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path}: cannot be read: {reason}",
            hint="Give this user the right to read there; `pypim verify` names every file that is damaged.",
        )
        self.path = path
        self.reason = reason


class OutOfSpace(StoreFault):
    """The disk is full. Sizes in bytes; None where nobody knows."""

    code = "out-of-space"

    def __init__(self, path: str, needed_bytes: int | None = None, free_bytes: int | None = None) -> None:
        detail = ""
        if needed_bytes is not None and free_bytes is not None:
            detail = f" ({needed_bytes:,} bytes needed, {free_bytes:,} free)"
        super().__init__(
            f"{path}: no space left on the device{detail}",
            hint="Make room and run the command again; what was fetched is kept.",
        )
        self.path = path
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class Locked(StoreFault):
    """Another run holds the store; `holder` says who."""

    code = "locked"

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(
            f"{path}: the store is locked by {holder}",
            hint="Wait for that run to end, then try again.",
        )
        self.path = path
        self.holder = holder


class SchemaTooNew(StoreFault):
    """The catalog was written by a newer pypim."""

    code = "schema-too-new"

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"{path}: the catalog has schema {found}, this pypim knows {known}",
            hint="Install the newer pypim that wrote it.",
        )
        self.path = path
        self.found = found
        self.known = known


class CorruptCatalog(StoreFault):
    """The catalog file cannot be read as a database."""

    code = "corrupt-catalog"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path}: the catalog is damaged: {reason}",
            hint="Run `pypim doctor --rebuild`: it makes a new one from what can be read of it and from the files.",
        )
        self.path = path
        self.reason = reason


# --- Unresolvable ---------------------------------------------------------------------------------------------------
class Unresolvable(PypimError):
    """What was asked for cannot be satisfied from what the index offers."""

    code = "unresolvable"
    exit_status = 9


def first_error(failures: BaseExceptionGroup) -> BaseException:
    """Of the errors that ended tasks together the first of ours, else the first: they have one cause."""
    found = [first_error(one) if isinstance(one, BaseExceptionGroup) else one for one in failures.exceptions]
    return next((error for error in found if isinstance(error, PypimError)), found[0])
