"""What is wrong with a request to the server, apart from who sent it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from pypim.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIMPLE_TYPES = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html and text/html"


class NotAcceptable(Invalid):
    """The client takes none of the forms that there are (HTTP 406; PEP 691)."""

    code = "not-acceptable"
    http_status: ClassVar[int] = 406

    def __init__(self, accept: str, offered: str = _SIMPLE_TYPES) -> None:
        super().__init__(f"no form of the answer is acceptable: {accept[:200]}", hint=f"There is {offered}.")
        self.accept = accept


class MethodNotAllowed(Invalid):
    """What is only read was asked for in another way (HTTP 405)."""

    code = "method-not-allowed"
    http_status: ClassVar[int] = 405

    def __init__(self, method: str, allowed: str = "") -> None:
        hint = f"There is {allowed}." if allowed else "Uploads go to the index's /legacy/."
        super().__init__(f"{method[:20]!a} means nothing here", hint=hint)
        self.method = method
        self.http_headers = {"allow": allowed or "GET, HEAD, OPTIONS"}


class InvalidPath(Invalid):
    """A path with parts that none of ours has: not ASCII, an encoded slash, a step upwards, too long (HTTP 400)."""

    code = "invalid-path"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path[:200]!a} is no path of this server",
            hint="Names are short, and written in ASCII without encoded slashes.",
        )
        self.path = path


class InvalidRequest(Invalid):
    """The query or the body of a request to the API is not what its description says (HTTP 400)."""

    code = "invalid-request"

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}", hint="See /api/v1/openapi.json for what is expected.")
        self.where = where
        self.what = what


class FileNotListed(NotFound):
    """No page of the index lists a file at that path, and what no page lists is not served."""

    code = "file-not-listed"

    def __init__(self, path: str, index: str) -> None:
        super().__init__(f"{index}: no page lists a file at {path}", hint="Read the project's page again.")
        self.path = path
        self.index = index


class RequestTooLong(Invalid):
    """The body has more bytes than a request of its kind ever needs (HTTP 413)."""

    code = "request-too-long"
    http_status: ClassVar[int] = 413
    http_headers: ClassVar[Mapping[str, str]] = MappingProxyType({"connection": "close"})

    def __init__(self, what: str, limit_bytes: int) -> None:
        super().__init__(f"{what} has at most {limit_bytes:,} bytes", hint="Send less, or in several requests.")
        self.what = what
        self.limit_bytes = limit_bytes


class RequestTimeout(Invalid):
    """Nothing came of the body of a request for too long, or too little in all the time that it took (HTTP 408)."""

    code = "request-timeout"
    http_status: ClassVar[int] = 408
    http_headers: ClassVar[Mapping[str, str]] = MappingProxyType({"connection": "close"})

    def __init__(self, seconds: float, received_bytes: int | None = None) -> None:
        """Without `received_bytes` nothing came in the last so many seconds; else only that in all of them."""
        what = "nothing" if received_bytes is None else f"only {received_bytes:,} bytes"
        super().__init__(
            f"{what} came of the request for {seconds:g} seconds",
            hint="Send it again, over a line that does not stall; server.request-timeout says how long is waited.",
        )
        self.seconds = seconds
        self.received_bytes = received_bytes
