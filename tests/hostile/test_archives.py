"""Wheels and sdists made to hurt whoever opens them: read in bounds, never extracted, named and left out."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest

from tests.hostile.sandbox import stuffed
from tests.worlds import faults
from tests.worlds.archives import make_archive
from tests.worlds.world import ReleaseSpec, project, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.conftest import MakeSandbox

METADATA = b"Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"
PKG_INFO = b"Metadata-Version: 2.2\nName: evil\nVersion: 1.0\n"
_MIB = 1 << 20


def wheel_of(entries: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


def crowded_wheel(number: int) -> bytes:
    """A wheel whose table of contents names that many empty files besides its METADATA."""
    content = wheel_of([("evil-1.0.dist-info/METADATA", METADATA)])
    start = content.index(b"PK\x01\x02")
    entry = content[start : content.index(b"PK\x05\x06")]
    name = b"evil-1.0.dist-info/METADATA"
    assert entry.endswith(name)
    head = bytearray(entry.removesuffix(name))
    head[28:30] = (8).to_bytes(2, "little")
    more = b"".join(bytes(head) + b"e%07d" % n for n in range(number))
    sizes = (number & 0xFFFF).to_bytes(2, "little") * 2 + (len(more) + len(entry)).to_bytes(4, "little")
    return content[:start] + more + entry + b"PK\x05\x06\0\0\0\0" + sizes + start.to_bytes(4, "little") + b"\0\0"


def long_names_wheel() -> bytes:
    """A table of contents that is large for the length of its names: 3,000 entries of 20,000 characters."""
    return wheel_of([(f"{n}-" + "n" * 20_000, b"") for n in range(3000)] + [("evil-1.0.dist-info/METADATA", METADATA)])


def two_metadata() -> bytes:
    other = METADATA.replace(b"1.0", b"6.6")
    with pytest.warns(UserWarning, match="Duplicate name"):
        return wheel_of([("evil-1.0.dist-info/METADATA", METADATA), ("evil-1.0.dist-info/METADATA", other)])


def two_folders() -> bytes:
    return wheel_of([("evil-1.0.dist-info/METADATA", METADATA), ("evil-6.6.dist-info/METADATA", METADATA)])


def climbing() -> bytes:
    return wheel_of([("../../evil-9.0-py3-none-any.whl", b"x"), ("evil-1.0.dist-info/METADATA", METADATA)])


def with_tail() -> bytes:
    return wheel_of([("evil-1.0.dist-info/METADATA", METADATA)]) + b"more" * 50_000


def lying_directory() -> bytes:
    """The table of contents says that it begins before the file, and that it has 4 GB."""
    content = bytearray(wheel_of([("evil-1.0.dist-info/METADATA", METADATA)]))
    at = content.rindex(b"PK\x05\x06")
    content[at + 12 : at + 20] = b"\xff\xff\xff\xff\xff\xff\xff\xfe"
    return bytes(content)


WHEELS: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: faults.bomb_wheel("evil", "1.0"),
    "200,001 entries": lambda: crowded_wheel(200_000),
    "100,000 entries": lambda: crowded_wheel(100_000),
    "long names": long_names_wheel,
    "two METADATA": two_metadata,
    "two folders": two_folders,
    "climbing": climbing,
    "tail": with_tail,
    "lying directory": lying_directory,
    "empty": bytes,
    "no zip": lambda: b"\x00" * _MIB,
}


@pytest.mark.parametrize("ranges", [True, False], ids=["by ranges", "whole"])
@pytest.mark.parametrize("kind", WHEELS)
def test_a_hostile_wheel(sandbox: MakeSandbox, kind: str, ranges: bool) -> None:
    """Protocol cases 69 and 71: bounded read; what has no METADATA that can be trusted is named."""
    box = sandbox(stuffed(project("evil", "1.0"), wheel=WHEELS[kind]()), ranges=ranges)
    assert box.sync('evil = "latest"').status in {0, 3, 6, 7, 9}


@pytest.mark.parametrize("kind", WHEELS)
def test_a_hostile_wheel_whose_metadata_is_told_beside_it(sandbox: MakeSandbox, kind: str) -> None:
    """The upstream's `.metadata` is fair; the wheel is opened only when it was transferred."""
    box = sandbox(stuffed(project("evil", "1.0"), wheel=WHEELS[kind]()))
    box.server.misbehave("*.metadata", faults.instead(METADATA))
    assert box.sync('evil = "latest"').status in {0, 7}


# --- sdists ---------------------------------------------------------------------------------------------------------
def sdist_of(members: list[tuple[tarfile.TarInfo, bytes]], *, mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload] # the mode is a parameter
        for info, content in members:
            info.size = len(content) if info.isreg() else info.size
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@lru_cache
def tar_bomb() -> bytes:
    """Eight gigabytes of nothing, and then the PKG-INFO."""
    info = member("evil-1.0/zeros")
    info.size = 8 << 30
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(info.tobuf()) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(_MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (info.size // _MIB)  # cut off at the end: whoever reads so far has read too far


def long_pkg_info() -> bytes:
    return sdist_of([(member("evil-1.0/PKG-INFO"), PKG_INFO + b"\n" + b" " * (64 * _MIB))])


def special_members() -> bytes:
    """Protocol case 70: links that lead outside, devices, absolute paths: read past, never extracted."""
    return sdist_of(
        [
            (member("evil-1.0/link", tarfile.SYMTYPE, "/etc/passwd"), b""),
            (member("evil-1.0/PKG-INFO", tarfile.SYMTYPE, "/etc/passwd"), b""),
            (member("evil-1.0/hard", tarfile.LNKTYPE, "../../outside/secret-1.0-py3-none-any.whl"), b""),
            (member("/etc/evil-9.0-py3-none-any.whl"), b"x"),
            (member("../../evil-9.0-py3-none-any.whl"), b"x"),
            (member("evil-1.0/device", tarfile.CHRTYPE), b""),
            (member("evil-1.0/pipe", tarfile.FIFOTYPE), b""),
            (member("evil-1.0/PKG-INFO"), PKG_INFO),
        ]
    )


def many_members() -> bytes:
    block = member("evil-1.0/one").tobuf()
    return gzip.compress(block * 120_000, compresslevel=1)


def long_extended_header() -> bytes:
    info = member("././@PaxHeader", tarfile.XHDTYPE)
    info.size = 1 << 33
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT if info.size < 1 << 33 else tarfile.GNU_FORMAT) + bytes(4096))


SDISTS: dict[str, Callable[[], bytes]] = {
    "bomb": tar_bomb,
    "long PKG-INFO": long_pkg_info,
    "special members": special_members,
    "many members": many_members,
    "long extended header": long_extended_header,
    "cut": lambda: make_archive("evil", ReleaseSpec(version="1.0"), sdist())[0][:200],
    "no archive": lambda: b"\x00" * 4096,
    "empty": bytes,
}


@pytest.mark.parametrize("kind", SDISTS)
def test_a_hostile_sdist_that_is_the_only_candidate(sandbox: MakeSandbox, kind: str) -> None:
    box = sandbox(stuffed(project("evil", "1.0", files=[sdist()]), sdist=SDISTS[kind]()))
    outcome = box.sync('evil = "latest"')
    assert outcome.status in {0, 3, 6, 7, 9}
    assert outcome.seconds < 30


def test_a_hostile_sdist_beside_a_wheel_costs_nothing(sandbox: MakeSandbox) -> None:
    box = sandbox(stuffed(project("evil", "1.0", files=[wheel(), sdist()]), sdist=tar_bomb()))
    assert box.sync('evil = "latest"').status == 0
    assert not box.server.asked("*.tar.gz")
