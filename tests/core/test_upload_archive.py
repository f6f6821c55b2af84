"""What an uploaded archive must be: every reader sees the same in it, and nothing reaches outside of it."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.upload_archive import examine
from tests.web.uploading import egg, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypim.core.upload_archive import ArchiveFacts

WHEEL = wheel(payload=5000)
SDIST = sdist(payload=5000)
INFO = "ours-1.0.dist-info"


def facts_of(content: bytes, filename: str = WHEEL.filename) -> ArchiveFacts:
    return examine(io.BytesIO(content), filename)


def faults_of(content: bytes, filename: str = WHEEL.filename) -> str:
    return "; ".join(facts_of(content, filename).faults)


def rezipped(change: Callable[[zipfile.ZipFile], object], *, without: Iterable[str] = ()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WHEEL.content)) as before, zipfile.ZipFile(buffer, "w") as after:
        for entry in before.infolist():
            if entry.filename not in without:
                after.writestr(entry, before.read(entry))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            change(after)
    return buffer.getvalue()


def retarred(*members: tuple[tarfile.TarInfo, bytes], without: Iterable[str] = (), trailing: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(SDIST.content)) as before,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as after,
    ):
        for member in before.getmembers():
            if member.name not in without:
                after.addfile(member, before.extractfile(member))
        for info, content in members:
            info.size = len(content)
            after.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue() + trailing)


def member(path: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path)
    info.type = kind
    info.linkname = target
    return info, b""


def test_good_archives_have_no_faults() -> None:
    for upload in (WHEEL, SDIST):
        facts = facts_of(upload.content, upload.filename)
        assert facts.faults == ()
        assert facts.metadata is not None
        assert facts.metadata.startswith(b"Metadata-Version: 2.1\nName: ours\n")


def test_a_wheel_written_without_seeking_has_no_faults() -> None:
    """Data descriptors behind the contents, as whoever writes to a pipe must do."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(io.BytesIO(WHEEL.content)) as before, zipfile.ZipFile(pipe, "w") as after:
        for entry in before.infolist():
            after.writestr(entry, before.read(entry))
    assert faults_of(pipe.getvalue()) == ""


def test_a_wheel_with_zip64_sizes_has_no_faults() -> None:
    def add(archive: zipfile.ZipFile) -> None:
        with archive.open("large.bin", "w", force_zip64=True) as entry:
            entry.write(b"x" * 1000)

    assert faults_of(rezipped(add)) == ""


@pytest.mark.parametrize("name", ["METADATA", "WHEEL", "RECORD"])
def test_each_file_of_the_dist_info_is_there_once(name: str) -> None:
    """Case 69: each file of the dist info is there once."""
    path = f"{INFO}/{name}"
    assert "must have one" in faults_of(rezipped(lambda _: None, without=[path]))
    twice = facts_of(rezipped(lambda archive: archive.writestr(path, b"Name: theirs")))
    assert "two entries with one name" in "; ".join(twice.faults)
    assert (twice.metadata is None) == (name == "METADATA")


def test_one_dist_info_folder_of_the_right_name() -> None:
    """Case 69: one dist info folder of the right name."""
    assert "one .dist-info folder" in faults_of(rezipped(lambda a: a.writestr("b-1.0.dist-info/METADATA", b"Name: b")))
    assert "one .dist-info folder" in faults_of(WHEEL.content, "theirs-1.0-py3-none-any.whl")
    assert "one .dist-info folder" in faults_of(WHEEL.content, "ours-1.1-py3-none-any.whl")


@pytest.mark.parametrize(
    "content",
    [
        b"\0" + WHEEL.content,
        b"#!/bin/sh\n" + WHEEL.content,
        WHEEL.content + b"\0",
        WHEEL.content + b"PK\x05\x06" + b"\0" * 18,
        WHEEL.content + WHEEL.content,
        WHEEL.content[:-1],
        WHEEL.content[:-22],
        WHEEL.content[: len(WHEEL.content) // 2],
        b"",
        b"PK\x05\x06" + b"\0" * 18,
        SDIST.content,
    ],
    ids=["null-before", "script-before", "null-behind", "second-end", "two", "short", "no-end", "half", "empty", "none",
         "other"],
)  # fmt: skip
def test_nothing_before_or_behind_the_zip_file(content: bytes) -> None:
    """Case 69: nothing before or behind the zip file."""
    assert faults_of(content)


@pytest.mark.parametrize("text", [b"hello", b"PK\x05\x06" + b"\0" * 18], ids=["plain", "another-end"])
def test_no_comment(text: bytes) -> None:
    """Case 69: behind the end there could be a second one, which only some readers find."""

    def comment(archive: zipfile.ZipFile) -> None:
        archive.comment = text

    assert faults_of(rezipped(comment))


def test_no_bytes_between_entries() -> None:
    """Case 69: a whole entry that the directory does not name is invisible to some readers and installed by others."""
    directory = WHEEL.content.index(b"PK\x01\x02")
    end = len(WHEEL.content) - 22
    hidden = io.BytesIO()
    with zipfile.ZipFile(hidden, "w") as archive:
        archive.writestr("hidden.py", b"evil")
    entry = hidden.getvalue()[: hidden.getvalue().index(b"PK\x01\x02")]
    moved = bytearray(WHEEL.content[end:])
    struct.pack_into("<L", moved, 16, directory + len(entry))
    content = WHEEL.content[:directory] + entry + WHEEL.content[directory:end] + bytes(moved)
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    assert "other bytes behind it" in faults_of(content)


def test_both_headers_of_an_entry_agree() -> None:
    """Case 69: both headers of an entry agree."""
    local = WHEEL.content.index(b"ours/__init__.py")
    renamed = WHEEL.content[:local] + b"ours/__evil__.py" + WHEEL.content[local + 16 :]
    assert "another name" in faults_of(renamed)
    crc = WHEEL.content[:14] + b"\1\2\3\4" + WHEEL.content[18:]
    assert "contradicts" in faults_of(crc)
    method = WHEEL.content[:8] + b"\0\0" + WHEEL.content[10:]
    assert "contradicts" in faults_of(method)


def test_zip64_records_that_contradict_the_others() -> None:
    """Case 69: zip64 records that contradict the others."""
    end = len(WHEEL.content) - 22
    fields = struct.unpack("<4s4H2LH", WHEEL.content[end:])
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, fields[5], fields[6])
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    assert "contradict" in faults_of(WHEEL.content[:end] + record + locator + WHEEL.content[end:])
    agreeing = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, fields[4], fields[4], fields[5], fields[6])
    assert faults_of(WHEEL.content[:end] + agreeing + locator + WHEEL.content[end:]) == ""


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x.py", "ours/../../x.py", "a\\b.py", "C:/x.py", "a//b", "x\x01.py"]
)
def test_a_wheel_has_no_path_that_leaves_it(path: str) -> None:
    assert "no path inside" in faults_of(rezipped(lambda archive: archive.writestr(path, b"")))


def test_methods_that_no_wheel_has() -> None:
    assert "compressed with the method" in faults_of(
        rezipped(lambda archive: archive.writestr("x", b"x" * 99, zipfile.ZIP_BZIP2))
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [50, 5_000_000])
def test_every_entry_has_its_checksum(method: int, size: int) -> None:
    """An installer would find out; until then the file is listed and cannot be installed."""
    right = rezipped(lambda archive: archive.writestr("ours/data.bin", b"A" * size, method))
    assert faults_of(right) == ""
    checksum = struct.pack("<L", zlib.crc32(b"A" * size))
    assert right.count(checksum) == 2
    assert "checksum" in faults_of(right.replace(checksum, b"\1\2\3\4"))


def test_an_entry_unpacks_to_what_its_header_says() -> None:
    """Some readers stop at the size that the header says, others at the end of what is compressed."""
    content = b"A" * 5555
    right = rezipped(lambda archive: archive.writestr("ours/data.bin", content, zipfile.ZIP_DEFLATED))
    checksum, size = struct.pack("<L", zlib.crc32(content)), struct.pack("<L", 5555)
    for said, fault in ((4000, "more than"), (6000, "its header says")):
        wrong = right.replace(checksum, struct.pack("<L", zlib.crc32(content[:said])))
        assert fault in faults_of(wrong.replace(size, struct.pack("<L", said)))


def test_nothing_stands_behind_the_end_of_compressed_content() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"A" * 5000) + packer.flush()
    for content, fault in ((packed + b"evil", "behind its end"), (packed[:-1], "cut short")):
        stored = rezipped(lambda archive, content=content: archive.writestr("x", content, zipfile.ZIP_STORED))  # type: ignore[misc]
        pretending = bytearray(
            stored.replace(struct.pack("<L", zlib.crc32(content)), struct.pack("<L", zlib.crc32(b"A" * 5000)))
        )
        for place, method_at, size_at in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
            start = stored.rindex(place)
            struct.pack_into("<H", pretending, start + method_at, zipfile.ZIP_DEFLATED)
            struct.pack_into("<L", pretending, start + size_at, 5000)
        assert fault in faults_of(bytes(pretending))


def test_no_two_names_of_the_dist_info_are_one_on_some_systems() -> None:
    """`METADATA` beside `metadata`: where case does not count, the last one that is unpacked stays."""
    for path in (f"{INFO}/metadata", f"{INFO.upper()}/RECORD".replace(".DIST-INFO", ".dist-info")):
        assert faults_of(rezipped(lambda archive, path=path: archive.writestr(path, b"Name: theirs")))  # type: ignore[misc]
    assert "one file on some systems" in faults_of(rezipped(lambda a: a.writestr(f"{INFO}/metadata", b"Name: theirs")))
    assert "one .dist-info" in faults_of(rezipped(lambda a: a.writestr(f"{INFO[:-9]}DIST-INFO/METADATA", b"Name: b")))


def test_an_egg_has_its_pkg_info() -> None:
    upload = egg()
    facts = facts_of(upload.content, upload.filename)
    assert facts.faults == ()
    assert facts.declared is not None
    assert facts.declared.name == "ours"
    assert "one EGG-INFO/PKG-INFO" in faults_of(WHEEL.content, upload.filename)


def test_what_unpacks_to_far_more_than_it_is() -> None:
    """Case 71: what unpacks to far more than it is."""
    bomb = rezipped(lambda archive: archive.writestr("zeros", b"\0" * (65 << 20), zipfile.ZIP_DEFLATED))
    assert "unpacks to" in faults_of(bomb)
    metadata = rezipped(
        lambda archive: archive.writestr(f"{INFO}/METADATA", b"\0" * (9 << 20), zipfile.ZIP_DEFLATED),
        without=[f"{INFO}/METADATA"],
    )
    facts = facts_of(metadata)
    assert facts.faults
    assert facts.metadata is None


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (member("ours-1.0/x", tarfile.SYMTYPE, "../../etc/passwd"), "outside"),
        (member("ours-1.0/x", tarfile.SYMTYPE, "/etc/passwd"), "outside"),
        (member("ours-1.0/x", tarfile.SYMTYPE, "a/../../.."), "outside"),
        (member("ours-1.0/x", tarfile.LNKTYPE, "etc/passwd"), "outside"),
        (member("ours-1.0/x", tarfile.LNKTYPE, "ours-1.0/../../x"), "outside"),
        (member("ours-1.0/x", tarfile.SYMTYPE, "..\\..\\x"), "outside"),
        (member("ours-1.0/x", tarfile.CHRTYPE), "neither"),
        (member("ours-1.0/x", tarfile.BLKTYPE), "neither"),
        (member("ours-1.0/x", tarfile.FIFOTYPE), "neither"),
        (member("ours-1.0/x", tarfile.GNUTYPE_SPARSE), "sparse"),
        (member("/etc/passwd"), "no path inside"),
        (member("ours-1.0/../../x"), "no path inside"),
        (member("ours-1.0\\x"), "no path inside"),
        (member("other/x"), "one top folder"),
        (member("x"), "top folder"),
        (member("ours-1.0/PKG-INFO"), "one PKG-INFO"),
    ],
)
def test_an_sdist_stays_in_its_folder(changed: tuple[tarfile.TarInfo, bytes], fault: str) -> None:
    """Case 70, PEP 721: no links outside, devices or absolute paths; and no sparse files."""
    assert fault in faults_of(retarred(changed), SDIST.filename)


def test_a_member_cannot_stand_behind_a_link() -> None:
    """Case 70: a member cannot stand behind a link."""
    content = retarred(
        member("ours-1.0/a/b/link", tarfile.SYMTYPE, "../.."), member("ours-1.0/a/b/link/x", tarfile.SYMTYPE, "../../y")
    )
    assert "no path inside" in faults_of(content, SDIST.filename)


def test_links_inside_of_an_sdist_are_taken() -> None:
    content = retarred(
        member("ours-1.0/x", tarfile.SYMTYPE, "ours/__init__.py"),
        member("ours-1.0/deep/y", tarfile.SYMTYPE, "../ours/__init__.py"),
        member("ours-1.0/z", tarfile.LNKTYPE, "ours-1.0/ours/__init__.py"),
    )
    assert faults_of(content, SDIST.filename) == ""


def test_sparse_members_in_pax_headers() -> None:
    """Case 70: sparse members in pax headers."""
    info, content = member("ours-1.0/x")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": "1000000000000"}
    assert "sparse" in faults_of(retarred((info, content)), SDIST.filename)


def test_long_links_are_read_whole() -> None:
    """A target that needs an extended header is judged by all of it."""
    info, _ = member("ours-1.0/x", tarfile.SYMTYPE, "a/" * 80 + "../" * 90 + "etc")
    assert "outside" in faults_of(retarred((info, b"")), SDIST.filename)


def test_an_sdist_has_a_pkg_info() -> None:
    assert "one PKG-INFO" in faults_of(retarred(without=["ours-1.0/PKG-INFO"]), SDIST.filename)


@pytest.mark.parametrize(
    "content",
    [
        SDIST.content + b"PK\x03\x04",
        SDIST.content + WHEEL.content,
        SDIST.content[:-3],
        SDIST.content[: len(SDIST.content) // 2],
        gzip.decompress(SDIST.content),
        b"",
        b"\x1f\x8b",
        retarred(trailing=gzip.decompress(SDIST.content)),
        WHEEL.content,
    ],
    ids=["zip-behind", "wheel-behind", "short", "half", "not-gzip", "empty", "begun", "two-tars", "wheel"],
)
def test_an_sdist_is_one_tar_gz_file(content: bytes) -> None:
    """Not both a zip and a tar file; nothing behind the end that some reader would go on with."""
    assert faults_of(content, SDIST.filename)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_archive_never_raises(data: st.DataObject) -> None:
    upload = data.draw(st.sampled_from([WHEEL, SDIST]))
    content = bytearray(upload.content)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    facts_of(bytes(content[:cut]) + data.draw(st.binary(max_size=50)) + bytes(content[cut:]), upload.filename)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"PK\x05\x06"]))
def test_garbage_is_always_a_fault(content: bytes, magic: bytes) -> None:
    for filename in (WHEEL.filename, SDIST.filename):
        assert faults_of(magic + content, filename)
