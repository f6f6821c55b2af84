"""Why an upload was not taken, or a hosted project not changed."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from pypim.core.errors import Conflict, Invalid, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_ISSUES = 40
"""So many are told of one upload."""


class InvalidUpload(Invalid):
    """The form, the file name, the metadata or the archive breaks a rule; all faults are reported at once."""

    code = "invalid-upload"

    def __init__(self, filename: str, issues: Sequence[str]) -> None:
        told = list(issues[:MOST_ISSUES])
        if len(issues) > MOST_ISSUES:
            told.append(f"and {len(issues) - MOST_ISSUES:,} more")
        super().__init__(
            f"{filename or 'upload'}: {'; '.join(told)}", hint="Nothing was kept. Correct it and upload it again."
        )
        self.filename = filename
        self.issues = tuple(issues)


class InvalidChange(Invalid):
    """What a request wants to change, or the reason that it gives, cannot be read."""

    code = "invalid-change"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, hint='Send JSON such as {"reason": "it breaks on Windows"}.')
        self.reason = reason


class UploadTooLarge(Invalid):
    """The request or the file has more bytes than the index takes (HTTP 413)."""

    code = "upload-too-large"
    http_status: ClassVar[int] = 413
    http_headers: ClassVar[Mapping[str, str]] = MappingProxyType({"connection": "close"})

    def __init__(self, what: str, limit_bytes: int) -> None:
        super().__init__(
            f"{what} has more than {limit_bytes:,} bytes",
            hint="Raise max-upload-size of the server or max-file-size of the index, or make the file smaller.",
        )
        self.what = what
        self.limit_bytes = limit_bytes


class ActionGone(Invalid):
    """The old upload API had this action, and no index has it any more (HTTP 410)."""

    code = "action-gone"
    http_status: ClassVar[int] = 410

    def __init__(self, action: str) -> None:
        super().__init__(
            f":action={action} is not supported: only file_upload is",
            hint="Projects are made by their first upload; no client needs another action.",
        )
        self.action = action


class FileExistsDiffers(Conflict):
    """The name of the file is taken by other bytes; the sentence begins as clients look for it."""

    code = "file-exists-differs"

    def __init__(self, filename: str, blake2b_256: str) -> None:
        super().__init__(
            f"File already exists ({filename!r}, with blake2_256 hash {blake2b_256!r}).",
            hint="A file that was published is never replaced: upload the change as a new version or build.",
        )
        self.filename = filename
        self.blake2b_256 = blake2b_256


class UploadRefused(Refused):
    """The project takes no uploads (PEP 792), or the index makes no new projects for this visitor."""

    code = "upload-refused"

    def __init__(self, project: str, reason: str) -> None:
        super().__init__(f"{project}: {reason}", hint="Ask the people who run this index.")
        self.project = project
        self.reason = reason


class NotHosted(NotFound):
    """The index has no such release or file, or takes no uploads at all."""

    code = "not-hosted"

    def __init__(self, index: str, what: str) -> None:
        super().__init__(f"{index}: there is no {what}")
        self.index = index
        self.what = what
