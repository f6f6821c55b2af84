"""The ways in which a server misbehaves: each a function from the right response to a wrong one.

A fault is put on paths with `WorldServer.misbehave(pattern, fault)`.
"""

from __future__ import annotations

import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

GIB = 1 << 30
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Response:
    """An HTTP response on its way out, with the means to spoil it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    path: str = ""
    """Path and query that were asked for."""
    announced_length: int | None = None
    """Content-Length that is claimed; None for the true one."""
    cut_after: int | None = None
    """Close the connection when this many bytes of the body are out; -1 before the first byte of the head."""
    tail: Callable[[], Iterator[bytes]] | None = None
    """More body, made while it is sent."""
    chunk: int = 1 << 18
    """Bytes of the body written at once."""
    pause_s: float = 0.0
    """Seconds between two chunks."""
    gate: threading.Event | None = None
    """Nothing of the body is sent before this is set."""


Fault = Callable[[Response], Response]


def status(code: int, *, retry_after: str | None = None) -> Fault:
    """Answer with an error, as an overloaded or broken server does."""

    def fault(response: Response) -> Response:
        headers = {"Content-Type": "text/plain"}
        if retry_after is not None:
            headers["Retry-After"] = retry_after
        return replace(response, status=code, headers=headers, body=f"status {code}\n".encode())

    return fault


def cut_after(count: int) -> Fault:
    """Break the connection when this many bytes of the body are out, as a dying server or a proxy does."""
    return lambda response: replace(response, cut_after=count)


def no_answer() -> Fault:
    """Close the connection without a word."""
    return lambda response: replace(response, cut_after=-1)


def wrong_bytes() -> Fault:
    """Send other bytes of the same length, as a bad disk or a poisoned cache does."""
    return lambda response: replace(response, body=bytes(byte ^ 0x55 for byte in response.body))


def shorter(count: int) -> Fault:
    """Send a file that lacks its last bytes but is complete HTTP, as a truncated upload does."""
    return lambda response: replace(response, body=response.body[:-count])


def longer(count: int) -> Fault:
    """Send a file with bytes appended."""
    return lambda response: replace(response, body=response.body + b"\0" * count)


def announce(length: int) -> Fault:
    """Announce this Content-Length and go on sending zeros until the client has had enough."""

    def fault(response: Response) -> Response:
        def zeros() -> Iterator[bytes]:
            left = length - len(response.body)
            while left > 0:
                yield bytes(min(left, _BLOCK))
                left -= _BLOCK

        return replace(response, announced_length=length, tail=zeros)

    return fault


def announce_only(length: int) -> Fault:
    """Announce this Content-Length, send the true bytes and hang up."""
    return lambda response: replace(response, announced_length=length, cut_after=len(response.body))


def chunked() -> Fault:
    """Send the right bytes in one chunk and say no length, as servers do that make what they send."""

    def fault(response: Response) -> Response:
        body = b"%x\r\n" % len(response.body) + response.body + b"\r\n0\r\n\r\n"
        return replace(response, headers={**response.headers, "Transfer-Encoding": "chunked"}, body=body)

    return fault


def drip(chunk: int, pause_s: float) -> Fault:
    """Send a few bytes at a time, as a server under attack or a bad line does."""
    return lambda response: replace(response, chunk=chunk, pause_s=pause_s)


def hold(gate: threading.Event) -> Fault:
    """Send the head, and the body only when the test sets the event."""
    return lambda response: replace(response, gate=gate)


def redirect(location: str, code: int = 302) -> Fault:
    """Send the client elsewhere: to another host, another scheme, `file:`."""
    return lambda response: replace(response, status=code, headers={"Location": location}, body=b"")


def endless_redirect() -> Fault:
    """Send the client to the same path with another query, for ever."""

    def fault(response: Response) -> Response:
        path, _, query = response.path.partition("?turn=")
        location = f"{path}?turn={int(query or 0) + 1}"
        return replace(response, status=302, headers={"Location": location}, body=b"")

    return fault


def instead(body: bytes, content_type: str | None = None) -> Fault:
    """Send this body in the place of the right one, as a captive portal does."""

    def fault(response: Response) -> Response:
        headers = {**response.headers, **({"Content-Type": content_type} if content_type is not None else {})}
        return replace(response, status=200, headers=headers, body=body)

    return fault


def changed_headers(**headers: str | None) -> Fault:
    """Send headers that differ (`content_type="application/json"`); None leaves one out."""
    wanted = {name.replace("_", "-"): value for name, value in headers.items()}

    def fault(response: Response) -> Response:
        kept = {name: value for name, value in response.headers.items() if name.lower() not in wanted}
        added = {name.title(): value for name, value in wanted.items() if value is not None}
        return replace(response, headers=kept | added)

    return fault


def changed_page(change: Callable[[dict[str, object]], None]) -> Fault:
    """Change a JSON page in place before it is sent; HTML pages are left alone."""

    def fault(response: Response) -> Response:
        if "json" not in response.headers.get("Content-Type", ""):
            return response
        page = json.loads(response.body)
        change(page)
        return replace(response, body=json.dumps(page).encode())

    return fault


def more_entries(entries: list[object], anchors: list[str] | None = None) -> Fault:
    """Put these before the true entries of a project's page, as raw `files[]` values and as raw HTML."""

    def fault(response: Response) -> Response:
        if "json" in response.headers.get("Content-Type", ""):
            page = json.loads(response.body)
            page["files"] = [*entries, *page["files"]]
            return replace(response, body=json.dumps(page).encode())
        text = response.body.decode().replace("</h1>", "</h1>\n" + "\n".join(anchors or []), 1)
        return replace(response, body=text.encode("utf-8", "surrogateescape"))

    return fault


def gzip_bomb(size: int = GIB) -> Fault:
    """Send a page that unpacks to this many bytes (whole MiB), with Content-Encoding: gzip."""

    def fault(response: Response) -> Response:
        headers = {**response.headers, "Content-Encoding": "gzip"}
        return replace(response, status=200, headers=headers, body=_gzip_bomb(size))

    return fault


@lru_cache(maxsize=4)
def _deflated(prefix: bytes, size: int) -> bytes:
    """Return raw deflate data of prefix and then spaces, `size` bytes (whole MiB) in all but the prefix."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(prefix) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * _BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (size // _BLOCK) + packer.flush()


def _checksum(prefix: bytes, size: int) -> int:
    crc = zlib.crc32(prefix)
    block = b" " * _BLOCK
    for _ in range(size // _BLOCK):
        crc = zlib.crc32(block, crc)
    return crc


@lru_cache(maxsize=4)
def _gzip_bomb(size: int) -> bytes:
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return head + _deflated(b"", size) + struct.pack("<II", _checksum(b"", size), size & 0xFFFFFFFF)


@lru_cache(maxsize=4)
def bomb_wheel(name: str, version: str, size: int = GIB) -> bytes:
    """Return a wheel of about size / 1000 bytes whose METADATA unpacks to `size` bytes (whole MiB) and more."""
    prefix = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n".encode()
    path = f"{name}-{version}.dist-info/METADATA".encode()
    data = _deflated(prefix, size)
    crc, full = _checksum(prefix, size), len(prefix) + size
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, crc, len(data), full, len(path), 0)
    local = b"PK\x03\x04" + common + path + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + path
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
