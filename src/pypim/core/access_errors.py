"""Why a request to the server was refused: for credentials, for rights, or for too many attempts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from pypim.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

REALM = "pypim"


class CredentialsNeeded(Refused):
    """Nobody said who they are, or they did so wrongly (HTTP 401; RFC 9110, 15.5.2): pip and uv then ask or give up."""

    code = "credentials-needed"
    http_status: ClassVar[int] = 401
    http_headers: ClassVar[Mapping[str, str]] = MappingProxyType({"www-authenticate": f'Basic realm="{REALM}"'})

    def __init__(self, index: str, *, is_wrong: bool = False) -> None:
        super().__init__(
            f"{index}: {'these credentials are not valid' if is_wrong else 'this needs credentials'}",
            hint='Give user name and password, or a token with the user name "__token__".',
        )
        self.index = index
        self.is_wrong = is_wrong


class WrongCredentials(Refused):
    """A write came with credentials that are unknown, revoked, expired or wrong (HTTP 403, as PyPI answers)."""

    code = "wrong-credentials"
    http_status: ClassVar[int] = 403

    def __init__(self, index: str) -> None:
        super().__init__(
            f"{index}: Invalid or non-existent authentication information.",
            hint="Check the token with `pypim token list`: it may have expired or been revoked.",
        )
        self.index = index


class NotPermitted(Refused):
    """It is known who they are, and they may not (HTTP 403)."""

    code = "not-permitted"
    http_status: ClassVar[int] = 403

    def __init__(self, who: str, action: str, index: str, project: str | None) -> None:
        what = f"{project!r} of the index {index!r}" if project is not None else f"the index {index!r}"
        super().__init__(
            f"{who} may not {action} {what}",
            hint="Use a token whose scope covers it, or ask for the right under [[access.rights]].",
        )
        self.who = who
        self.action = action
        self.index = index
        self.project = project


class TooManyAttempts(Refused):
    """Too many wrong credentials came from one address (HTTP 429); it may try again after so many seconds."""

    code = "too-many-attempts"
    http_status: ClassVar[int] = 429

    def __init__(self, peer: str, retry_after_seconds: int) -> None:
        super().__init__(
            f"too many wrong credentials from {peer or 'this address'}",
            hint=f"Correct them and try again in {retry_after_seconds} seconds.",
        )
        self.peer = peer
        self.retry_after_seconds = retry_after_seconds
        self.http_headers = {"retry-after": str(retry_after_seconds)}


class IdentityRejected(Refused):
    """An identity token of a CI service is not one that uploads here (HTTP 422); `reason` is PyPI's word for why."""

    code = "identity-rejected"
    http_status: ClassVar[int] = 422

    def __init__(self, reason: str, description: str) -> None:
        super().__init__(description, hint="Compare what the token claims with [access.publishers].")
        self.reason = reason
        self.description = description
