"""The one table that turns an error into an answer: a status, a sentence, and what to do next.

Where the store is and who an upstream is, is nobody's business but the operator's: the log has it, and no answer.
"""

from __future__ import annotations

import logging
import os
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from pypim.core import errors
from pypim.web.answers import CORS, header, send_whole

if TYPE_CHECKING:
    from pypim.web.answers import Headers, Scope, Send

_log = logging.getLogger("pypim.server")

STATUSES: dict[type[errors.PypimError], int] = {
    errors.NotFound: 404,
    errors.NotAuthenticated: 502,  # an upstream wants credentials of ours: no fault of the client
    errors.NotAuthorised: 502,
    errors.Refused: 403,
    errors.Invalid: 400,
    errors.Conflict: 409,
    errors.UpstreamTimeout: 504,
    errors.UpstreamFault: 502,
    errors.IntegrityFault: 502,
    errors.OutOfSpace: 507,
    errors.Locked: 503,
    errors.StoreFault: 503,
    errors.Unresolvable: 409,
    errors.PypimError: 500,
}
"""The family of an error → its status; the nearest class of its ancestry counts. An error may have one of its own."""
_ABOUT_AN_UPSTREAM = (errors.UpstreamFault, errors.NotAuthenticated, errors.NotAuthorised, errors.NotFound)
_UPSTREAM = re.compile(r"https?://[^\s/'\"]+|file:/[^\s'\"]*?(?=[,;:.]?(?:[\s'\"]|\Z))")
_PLACE = re.compile(r"(?<![\w./:-])/[^\s:'\",;)]+")
_RETRY_SECONDS = 5
_LONGEST_RETRY_SECONDS = 60
"""pip sleeps for as long as it is told, and an upstream may tell anything."""
_RETRYABLE = frozenset({502, 503, 504, 507})


class Fault(msgspec.Struct, frozen=True):
    """What a client is told."""

    status: int
    message: str
    hint: str = ""
    headers: Headers = []
    code: str = "error"


def fault_of(error: Exception) -> Fault:
    """What a client is told of an error; of one that nobody foresaw only that it happened."""
    if not isinstance(error, errors.PypimError):
        _log.error("unexpected %s", type(error).__name__, exc_info=error)
        return Fault(500, "the server met a fault that nobody foresaw", "Its log has more.", code="unexpected")
    own: int | None = getattr(error, "http_status", None)
    status = own or next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    more: Headers = [(name.encode(), value.encode()) for name, value in getattr(error, "http_headers", {}).items()]
    if status in _RETRYABLE and not any(name == b"retry-after" for name, _ in more):
        seconds = getattr(error, "retry_after_seconds", None) or _RETRY_SECONDS
        more.append((b"retry-after", str(int(min(seconds, _LONGEST_RETRY_SECONDS))).encode()))
    message, hint = message_of(error), _told(error, error.hint)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and message != error.message:
        _log.warning("%s", error.message)
    return Fault(status, message, hint, more, error.code)


def message_of(error: errors.PypimError) -> str:
    """The sentence of an error, where it is part of an answer."""
    return _told(error, error.message)


def _told(error: errors.PypimError, text: str) -> str:
    """What anybody may read of a message or a hint."""
    if isinstance(error, errors.StoreFault):
        path = str(getattr(error, "path", ""))
        return _PLACE.sub("the store", text.replace(path, "the store") if os.sep in path else text)
    return _UPSTREAM.sub("<upstream>", text) if isinstance(error, _ABOUT_AN_UPSTREAM) else text


async def send_error(scope: Scope, send: Send, error: Exception) -> None:
    """Answer with an error, as JSON where the client prefers that."""
    fault = fault_of(error)
    content, content_type = rendered_fault(fault, header(scope, b"accept") or "")
    headers: Headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        *CORS,
        *fault.headers,
    ]
    await send_whole(send, fault.status, headers, b"" if scope["method"] == "HEAD" else content)


def rendered_fault(fault: Fault, accept: str) -> tuple[bytes, bytes]:
    """(body, content type): what uv and twine print. The type is exactly application/json, as uv wants it."""
    title = HTTPStatus(fault.status).phrase
    if "application/json" in accept and "vnd.pypi.simple" not in accept:
        text = f"{fault.message} {fault.hint}".strip()
        code = f"{fault.status} {fault.message}"
        document = {"code": code, "title": title, "message": text, "kind": fault.code}
        return msgspec.json.encode(document), b"application/json"
    text = f"{fault.message}\n{fault.hint}\n" if fault.hint else f"{fault.message}\n"
    return text.encode(errors="replace"), b"text/plain; charset=utf-8"
