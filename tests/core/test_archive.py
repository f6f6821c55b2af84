"""Wheels and sdists of every format, whole, in pieces, broken and hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from typing import BinaryIO, cast

import pytest

from pypim.core.archive import MissingBytes, SdistFacts, SparseFile, sdist_facts, sdist_metadata, wheel_metadata
from pypim.core.errors import CorruptBlob, IntegrityFault
from pypim.core.metadata import parse_metadata
from pypim.core.model import MetadataSource
from pypim.core.tar_reading import Unpacked

NAME = "a-1.0-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.1\nName: a\nVersion: 1.0\n"
WHEEL_PATH = "a-1.0.dist-info/METADATA"
TRUSTED = b"Metadata-Version: 2.2\nName: a\nVersion: 1.0\nRequires-Dist: b\n"
OLD = b"Metadata-Version: 1.1\nName: a\nVersion: 1.0\nRequires-Dist: b\nRequires-Python: >=3\n"
BARE = b"Metadata-Version: 1.1\nName: a\nVersion: 1.0\n"
APPEND_ONLY = b"Metadata-Version: 2.6\nName: a\nVersion: 1.0\nRequires-Dist: b\nDynamic: Requires-Dist\n"
PYPROJECT = b"[project]\nname = 'a'\ndynamic = ['version']\ndependencies = ['c']\n"


def make_zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, data in members:
            archive.writestr(path, data)
    return buffer.getvalue()


def make_tar(*members: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path, data in members:
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def read_wheel(data: bytes, filename: str = NAME) -> bytes:
    return wheel_metadata(io.BytesIO(data), filename)


def read_sdist(data: bytes, filename: str = "a-1.0.tar.gz") -> SdistFacts:
    return sdist_facts(io.BytesIO(data), filename)


# --- Wheels ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_metadata_is_read_byte_for_byte(method: int) -> None:
    data = METADATA + b"\r\n\xff body"
    wheel = make_zip(
        ("a/__init__.py", b""), ("a/_vendor/b-1.dist-info/METADATA", b"no"), (WHEEL_PATH, data), method=method
    )
    assert read_wheel(wheel) == data
    assert read_wheel(wheel, "A-2.0-py3-none-any.whl") == data


@pytest.mark.parametrize("folder", ["A.b-1.0", "a_b-2.0", "a-b", "a_b_c-none"])
def test_the_folder_of_the_metadata_begins_with_the_name_of_the_project(folder: str) -> None:
    """As for pip and uv, which mind no version there."""
    wheel = make_zip((f"{folder}.dist-info/METADATA", METADATA))
    assert read_wheel(wheel, "a_b-1.0-py3-none-any.whl") == METADATA
    with pytest.raises(CorruptBlob, match="so not its own"):
        read_wheel(wheel, "c-1.0-py3-none-any.whl")


def test_of_several_folders_with_metadata_none_counts() -> None:
    """uv passes over such a wheel, and pip takes it for broken."""
    wheel = make_zip(("b-2.dist-info/METADATA", b"no"), ("A.b-1.0.dist-info/METADATA", METADATA))
    with pytest.raises(CorruptBlob, match="it has 2 METADATA"):
        read_wheel(wheel, "a_b-1.0-py3-none-any.whl")


def test_a_comment_and_bytes_before_the_archive_do_not_hide_it() -> None:
    buffer = io.BytesIO(b"#!/bin/sh\n")
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(WHEEL_PATH, METADATA)
        archive.comment = b"made by hand" * 100
    assert read_wheel(buffer.getvalue()) == METADATA


def zip64_wheel() -> bytes:
    """A wheel whose end is written in the zip64 form, as one of more than 4 GB has it."""
    data = make_zip((WHEEL_PATH, METADATA))
    end = len(data) - 22
    _, _, _, _, entries, size, offset, _ = struct.unpack("<4s4H2LH", data[end:])
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:end] + record + locator + tail


def test_zip64_wheels_are_read() -> None:
    assert read_wheel(zip64_wheel()) == METADATA


def twice() -> bytes:
    """A wheel with two entries of one name, of which different readers would take different ones (case 69)."""
    first, second = WHEEL_PATH, WHEEL_PATH.replace("METADATA", "metadata")
    return make_zip((first, METADATA), (second, b"Name: b\n")).replace(second.encode(), first.encode())


def encrypted() -> bytes:
    data = bytearray(make_zip((WHEEL_PATH, METADATA)))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def with_wrong_checksum() -> bytes:
    return make_zip((WHEEL_PATH, METADATA), method=zipfile.ZIP_STORED).replace(b"Name: a", b"Name: b")


def lying_bomb() -> bytes:
    """1 GB would follow, the header says ten bytes (case 71); here 16 MB, which is beyond the limit as well."""
    size = 16 << 20
    data = make_zip((WHEEL_PATH, b"\0" * size))
    return data.replace(struct.pack("<L", size), struct.pack("<L", 10))


def huge_directory() -> bytes:
    return b"PK\x03\x04" + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 1 << 30, 0, 0)


BROKEN_WHEELS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"<html>not found</html>" * 10,
    "cut": lambda: make_zip((WHEEL_PATH, METADATA))[:-10],
    "without": lambda: make_zip(("a/__init__.py", b"")),
    "nested": lambda: make_zip((f"x/{WHEEL_PATH}", METADATA)),
    "twice": twice,
    "encrypted": encrypted,
    "checksum": with_wrong_checksum,
    "bomb": lambda: make_zip((WHEEL_PATH, b"\0" * (9 << 20))),
    "lying bomb": lying_bomb,
    "bzip2": lambda: make_zip((WHEEL_PATH, METADATA), method=zipfile.ZIP_BZIP2),
    "lzma": lambda: make_zip((WHEEL_PATH, METADATA), method=zipfile.ZIP_LZMA),
    "directory": huge_directory,
    "hole": lambda: make_zip((WHEEL_PATH, METADATA)).replace(b"PK\x03\x04", b"PK\x03\x05"),
}


@pytest.mark.parametrize("make", BROKEN_WHEELS.values(), ids=BROKEN_WHEELS.keys())
def test_a_broken_or_hostile_wheel_is_one_error(make: Callable[[], bytes]) -> None:
    """Cases 69, 71: two METADATA entries, encryption, bombs: a bounded read and an error that names the file."""
    with pytest.raises(CorruptBlob, match=r"a-1\.0-py3") as caught:
        read_wheel(make())
    assert isinstance(caught.value, IntegrityFault)


def test_a_fault_of_the_disk_is_not_blamed_on_the_file() -> None:
    """Whichever of the reads fails: zipfile itself would say that the file is no zip file."""

    class BadDisk(io.BytesIO):
        reads = 0
        fails_at = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            if self.reads == self.fails_at:
                raise OSError(5, "Input/output error")
            return super().read(size)

    whole = BadDisk(make_zip((WHEEL_PATH, METADATA)))
    wheel_metadata(whole, NAME)
    assert whole.reads > 5
    for number in range(1, whole.reads + 1):
        disk = BadDisk(make_zip((WHEEL_PATH, METADATA)))
        disk.fails_at = number
        with pytest.raises(OSError, match="Input/output"):
            wheel_metadata(disk, NAME)


# --- Files with holes -----------------------------------------------------------------------------------------------
def read_in_ranges(data: bytes, least: int = 1) -> tuple[bytes, int]:
    """(METADATA, number of ranges that had to be fetched), each at least so many bytes long."""
    sparse = SparseFile(len(data))
    for requests in range(10_000):
        try:
            return wheel_metadata(sparse, NAME), requests
        except MissingBytes as missing:
            stop = min(max(missing.stop, missing.start + least), len(data))
            sparse.add(missing.start, data[missing.start : stop])
    raise AssertionError("it never came to an end")


def test_metadata_is_read_through_few_ranges() -> None:
    wheel = make_zip(("a/big.bin", bytes(range(256)) * 4000), (WHEEL_PATH, METADATA * 100), method=zipfile.ZIP_STORED)
    content, requests = read_in_ranges(wheel)
    assert content == METADATA * 100
    assert requests <= 5
    assert read_in_ranges(zip64_wheel())[0] == METADATA


def test_a_tail_of_the_usual_size_is_enough_for_a_small_wheel() -> None:
    wheel = make_zip(("a/big.bin", bytes(100_000)), (WHEEL_PATH, METADATA), method=zipfile.ZIP_STORED)
    sparse = SparseFile(len(wheel))
    sparse.add(len(wheel) - 16384, wheel[-16384:])
    assert wheel_metadata(sparse, NAME) == METADATA


def test_what_lies_beyond_the_end_is_no_part_of_a_file() -> None:
    sparse = SparseFile(4)
    for start, data in ((-1, b"x"), (3, b"xy")):
        with pytest.raises(ValueError, match="do not lie"):
            sparse.add(start, data)
    sparse.add(0, b"ab")
    sparse.add(1, b"bcd")
    assert sparse.read() == b"abcd"
    assert sparse.read() == b""
    with pytest.raises(ValueError, match="before"):
        sparse.seek(-5, io.SEEK_CUR)


def test_the_missing_bytes_are_named_exactly() -> None:
    sparse = SparseFile(10)
    sparse.add(2, b"cd")
    sparse.add(6, b"g")
    sparse.seek(3)
    with pytest.raises(MissingBytes) as caught:
        sparse.read(6)
    assert (caught.value.start, caught.value.stop) == (4, 6)


# --- Sdists ---------------------------------------------------------------------------------------------------------
MEMBERS = (
    ("a-1.0/setup.py", b"x" * 1000),
    ("a-1.0/PKG-INFO", OLD),
    ("a-1.0/pyproject.toml", b"[build-system]\n"),
    ("a-1.0/src/a.egg-info/PKG-INFO", b"Name: no\n"),
    ("a-1.0/src/a.egg-info/requires.txt", b"b>=1\n[x]\nc\n"),
    ("a-1.0/tests/data/z-9/z.egg-info/requires.txt", b"no\n"),
    ("a-1.0/tests/z.egg-info/requires.txt", b"no\n"),
)
FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "a-1.0.tar.gz": gzip.compress,
    "a-1.0.tgz": gzip.compress,
    "a-1.0.tar.bz2": bz2.compress,
    "a-1.0.tar.xz": lzma.compress,
    "a-1.0.tar": bytes,
}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize(("filename", "compress"), FORMATS.items(), ids=FORMATS.keys())
def test_every_format_of_sdist_is_read(filename: str, compress: Callable[[bytes], bytes], form: int) -> None:
    facts = read_sdist(compress(make_tar(*MEMBERS, form=form)), filename)
    assert facts == SdistFacts(OLD, b"[build-system]\n", b"b>=1\n[x]\nc\n", has_egg_info=True)


def test_zip_sdists_are_read() -> None:
    facts = read_sdist(make_zip(("a-1.0/", b""), *MEMBERS), "a-1.0.zip")
    assert facts == SdistFacts(OLD, b"[build-system]\n", b"b>=1\n[x]\nc\n", has_egg_info=True)


def test_compressed_parts_and_padding_are_one_file() -> None:
    tar = make_tar(*MEMBERS)
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        data = compress(tar[:1500]) + compress(tar[1500:]) + b"\0" * 100
        assert read_sdist(data).pkg_info == OLD


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_odd_paths_are_read(form: int) -> None:
    long = f"a-1.0/{'d' * 150}/{'e' * 150}"
    facts = read_sdist(gzip.compress(make_tar((long, b"x"), ("./a-1.0/PKG-INFO", OLD), ("a-1.0/ü", b"y"), form=form)))
    assert facts.pkg_info == OLD


def test_links_folders_and_devices_hold_nothing() -> None:
    """Case 70: links outside, devices and absolute paths are passed over; nothing is ever extracted."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number, kind in enumerate(
            (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
        ):
            member = tarfile.TarInfo("a-1.0/PKG-INFO" if number else "/etc")
            member.type, member.linkname = kind, "../../etc/passwd"
            archive.addfile(member)
        last = tarfile.TarInfo("a-1.0/PKG-INFO")
        last.size = len(OLD)
        archive.addfile(last, io.BytesIO(OLD))
    assert read_sdist(buffer.getvalue()).pkg_info == OLD


def test_the_folder_of_the_sdist_is_preferred_to_strays() -> None:
    members = (("x/PKG-INFO", TRUSTED), ("a-1.0/PKG-INFO", OLD), ("y/PKG-INFO", TRUSTED))
    assert read_sdist(gzip.compress(make_tar(*members))).pkg_info == OLD
    assert read_sdist(gzip.compress(make_tar(("X/PKG-INFO", OLD)))).pkg_info == OLD
    assert read_sdist(gzip.compress(make_tar(("A.b-1.0/PKG-INFO", OLD), members[0])), "a_b-1.0.tar.gz").pkg_info == OLD


def best(*members: tuple[str, bytes]) -> tuple[MetadataSource, tuple[str, ...], bool]:
    metadata, _ = sdist_metadata(io.BytesIO(gzip.compress(make_tar(*members))), "a-1.0.tar.gz")
    assert metadata.name == "a" or metadata.source is MetadataSource.NONE
    return metadata.source, metadata.requires_dist, metadata.is_lower_bound


def test_the_best_that_an_sdist_says() -> None:
    """Case 58: trusted PKG-INFO, static pyproject, then lower bounds, flagged."""
    egg_info = ("a-1.0/a.egg-info/requires.txt", b"d\n")
    assert best(("a-1.0/PKG-INFO", TRUSTED), ("a-1.0/pyproject.toml", PYPROJECT)) == ("pkg-info", ("b",), False)
    assert best(("a-1.0/PKG-INFO", OLD), ("a-1.0/pyproject.toml", PYPROJECT), egg_info) == ("pyproject", ("c",), False)
    assert best(("a-1.0/PKG-INFO", APPEND_ONLY), egg_info) == ("pkg-info", ("b",), True)
    assert best(("a-1.0/PKG-INFO", OLD), egg_info) == ("egg-info", ("d", "b"), True)
    assert best(("a-1.0/PKG-INFO", BARE), egg_info) == ("egg-info", ("d",), True)
    assert best(("a-1.0/PKG-INFO", BARE), ("a-1.0/a.egg-info/PKG-INFO", OLD)) == ("egg-info", (), True)
    assert best(("a-1.0/PKG-INFO", OLD)) == ("pkg-info", ("b",), True)
    assert best(("a-1.0/PKG-INFO", BARE)) == ("none", (), True)
    assert best(("a-1.0/setup.py", b"")) == ("none", (), True)


def test_what_an_old_pkg_info_and_a_requires_txt_say_counts_once() -> None:
    """Newer setuptools writes the requirements into both, each in its own way; either may be made by another tool."""
    requires_txt = ("a-1.0/a.egg-info/requires.txt", b"d\ne>=2\n[x]\nf\n[y]\ng\n")
    fields = b"Requires-Dist: e (>=2)\nRequires-Dist: f; extra == 'x'\nRequires-Dist: h\nProvides-Extra: X\n"
    members = gzip.compress(make_tar(("a-1.0/PKG-INFO", BARE + fields), requires_txt))
    metadata, _ = sdist_metadata(io.BytesIO(members), "a-1.0.tar.gz")
    assert (metadata.source, metadata.is_lower_bound) == (MetadataSource.EGG_INFO, True)
    assert metadata.requires_dist == ("d", "e>=2", 'f ; extra == "x"', 'g ; extra == "y"', "h")
    assert metadata.provides_extra == ("x", "y", "X")


def test_name_and_version_come_from_any_pkg_info() -> None:
    members = (("a-1.0/PKG-INFO", OLD), ("a-1.0/pyproject.toml", PYPROJECT))
    metadata, pkg_info = sdist_metadata(io.BytesIO(gzip.compress(make_tar(*members))), "a-1.0.tar.gz")
    assert (metadata.name, metadata.version, pkg_info) == ("a", "1.0", OLD)
    metadata, _ = sdist_metadata(io.BytesIO(gzip.compress(make_tar(members[0]))), "a-1.0.tar.gz")
    assert (metadata.name, metadata.version, metadata.requires_python) == ("a", "1.0", ">=3")


BUILD_SYSTEM = b'[build-system]\nrequires = ["flit_core >=3,<4", "tomli ; python_version<\'3.11\'", "???"]\n'


@pytest.mark.parametrize("pkg_info", [TRUSTED, APPEND_ONLY, OLD, BARE])
@pytest.mark.parametrize("is_first", [True, False])
def test_what_builds_an_sdist_stands_in_its_pyproject_toml(pkg_info: bytes, *, is_first: bool) -> None:
    """PEP 518, wherever in the archive the file is and whichever member tells the requirements."""
    members = [("a-1.0/PKG-INFO", pkg_info), ("a-1.0/a/x.py", b""), ("a-1.0/pyproject.toml", BUILD_SYSTEM)]
    stray = ("a-1.0/tests/pyproject.toml", b"[build-system]\nrequires = ['other']\n")
    tar = make_tar(*(members if is_first else members[::-1]), stray)
    metadata, body = sdist_metadata(io.BytesIO(gzip.compress(tar)), "a-1.0.tar.gz")
    assert metadata.build_requires == ("flit_core >=3,<4", "tomli ; python_version<'3.11'")
    assert metadata.faults == ("build-system.requires '???' cannot be read",)
    assert (metadata.name, body) == ("a", pkg_info)


def test_without_a_pyproject_toml_setuptools_and_wheel_build_an_sdist() -> None:
    """PEP 518: the default where nothing is said; a wheel needs nothing to be built."""
    tar = make_tar(("a-1.0/PKG-INFO", TRUSTED), ("a-1.0/setup.py", b""))
    metadata, _ = sdist_metadata(io.BytesIO(gzip.compress(tar)), "a-1.0.tar.gz")
    assert metadata.build_requires == ("setuptools", "wheel")
    assert parse_metadata(TRUSTED, MetadataSource.WHEEL).build_requires == ()


def test_reading_stops_when_nothing_can_say_more() -> None:
    """A trusted PKG-INFO is worth as much in an archive that is broken behind it, but only that of its own folder."""
    members = (("a-1.0/PKG-INFO", TRUSTED), ("a-1.0/pyproject.toml", BUILD_SYSTEM), ("a-1.0/big", bytes(1 << 20)))
    metadata, _ = sdist_metadata(io.BytesIO(make_tar(*members)[: 1 << 18]), "a-1.0.tar")
    assert (metadata.source, len(metadata.faults)) == (MetadataSource.PKG_INFO, 1)
    metadata, _ = sdist_metadata(io.BytesIO(make_tar(members[0], members[2])[: 1 << 18]), "a-1.0.tar")
    assert (metadata.requires_dist, metadata.build_requires) == (("b",), ("setuptools", "wheel"))
    assert "setuptools is taken for what builds it" in metadata.faults[0]
    with pytest.raises(CorruptBlob):
        sdist_metadata(io.BytesIO(make_tar(("x/PKG-INFO", TRUSTED), members[2])[: 1 << 18]), "a-1.0.tar")


def endless_header() -> bytes:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 1 << 30
    return gzip.compress(member.tobuf() + bytes(2 << 20))


def negative_size() -> bytes:
    block = bytearray(tarfile.TarInfo("x").tobuf())
    block[124:136] = b"\xff" * 12
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


def huge_pkg_info() -> bytes:
    return gzip.compress(make_tar(("a-1.0/PKG-INFO", bytes(9 << 20))), 1)


BROKEN_SDISTS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"<html>not found</html>" * 100,
    "cut gz": lambda: gzip.compress(make_tar(*MEMBERS))[:150],
    "cut bz2": lambda: bz2.compress(make_tar(*MEMBERS))[:150],
    "cut xz": lambda: lzma.compress(make_tar(*MEMBERS))[:150],
    "cut tar": lambda: make_tar(*MEMBERS)[:1000],
    "garbage gz": lambda: b"\x1f\x8b" + b"garbage" * 10,
    "garbage xz": lambda: b"\xfd7zXZ\x00" + b"garbage" * 10,
    "compress": lambda: b"\x1f\x9d\x90" + b"x" * 100,
    "endless header": endless_header,
    "negative size": negative_size,
    "huge": huge_pkg_info,
}


@pytest.mark.parametrize("make", BROKEN_SDISTS.values(), ids=BROKEN_SDISTS.keys())
def test_a_broken_or_hostile_sdist_is_one_error(make: Callable[[], bytes]) -> None:
    for read in (sdist_facts, sdist_metadata):
        with pytest.raises(CorruptBlob, match=r"a-1\.0\.tar\.gz"):
            read(io.BytesIO(make()), "a-1.0.tar.gz")


def test_a_broken_zip_sdist_is_one_error() -> None:
    with pytest.raises(CorruptBlob):
        read_sdist(b"PK", "a-1.0.zip")


class Zeros(io.RawIOBase):
    """Compressed bytes that unpack to zeros for ever."""

    _part = gzip.compress(bytes(64 << 20), 1)

    def read(self, size: int = -1, /) -> bytes:
        return self._part


def test_what_unpacks_for_ever_is_stopped() -> None:
    """A bomb must stop: after 2 GB, which were read in small pieces."""
    unpacked = Unpacked(cast("BinaryIO", Zeros()))
    with pytest.raises(ValueError, match="unpacks to more"):
        unpacked.skip(1 << 40)


def test_an_archive_with_too_many_members_is_refused() -> None:
    block = tarfile.TarInfo("a-1.0/x").tobuf()
    with pytest.raises(CorruptBlob, match="members"):
        read_sdist(gzip.compress(block * 100_002, 1))
