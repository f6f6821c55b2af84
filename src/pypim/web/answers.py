"""Answers as bytes and headers, and the sending of them: what is below Starlette on the hot paths."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec
from isal import igzip

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"X-PyPI-Last-Serial, Content-Length, Content-Range, Accept-Ranges"),
]
"""As PyPI sends it, for installers that run in a browser."""
_SMALLEST_PACKED = 512
"""A body that is shorter is not worth compressing."""
_GZIP_LEVEL = 1


class Body(msgspec.Struct, frozen=True):
    """One representation in one encoding, with all of its headers ready."""

    content: bytes
    etag: str
    headers: Headers
    unchanged: Headers
    """Those of a 304: the same without any about content."""


class Represented(msgspec.Struct, frozen=True):
    """One representation, plain and in gzip where that is shorter."""

    plain: Body
    packed: Body | None

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return len(self.plain.content) + (len(self.packed.content) if self.packed else 0) + 2000

    def body(self, accept_encoding: str) -> Body:
        """The one for an Accept-Encoding header."""
        return self.packed if self.packed is not None and takes_gzip(accept_encoding) else self.plain


def represent(content: bytes, content_type: str, cache_control: str, serial: int | None) -> Represented:
    """Make a representation; `serial` is that of the header which mirrors want."""
    # Forms with the same bytes are different representations all the same (RFC 9110, 8.8.1).
    digest = hashlib.sha256(content_type.encode() + b"\0" + content).hexdigest()[:32]
    common: Headers = [
        (b"vary", b"Accept, Accept-Encoding"),
        (b"cache-control", cache_control.encode()),
        *CORS,
    ]
    if serial is not None:
        common.append((b"x-pypi-last-serial", str(max(serial, 1)).encode()))
    typed = (b"content-type", content_type.encode())
    plain = _body(content, f'"{digest}"', [typed, *common], common)
    if len(content) < _SMALLEST_PACKED:
        return Represented(plain, None)
    packed = igzip.compress(content, _GZIP_LEVEL)
    encoded: Headers = [typed, (b"content-encoding", b"gzip"), *common]
    return Represented(plain, _body(packed, f'"{digest}-gzip"', encoded, common))


def _body(content: bytes, etag: str, headers: Headers, common: Headers) -> Body:
    tag = (b"etag", etag.encode())
    return Body(content, etag, [(b"content-length", str(len(content)).encode()), tag, *headers], [tag, *common])


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header takes gzip (RFC 9110, 12.5.3)."""
    if "gzip" not in accept_encoding:
        return False
    for part in accept_encoding.split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that name (lower case); bytes that are no Latin-1 do not exist."""
    for key, value in scope["headers"]:
        if key == name:
            text: bytes = value
            return text.decode("latin-1")
    return None


def headers_of(scope: Scope) -> dict[str, str]:
    """All of them by lower-case name; of several with one name the first."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:
        found.setdefault(key.decode("latin-1"), value.decode("latin-1"))
    return found


async def send_whole(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], content: bytes) -> None:
    """An answer in one piece."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": content})
