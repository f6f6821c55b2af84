"""The table of a page's files: each is found under every path that it is served at, and nothing else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pypim.core.file_table import file_in, file_table
from pypim.core.model import DistFile
from pypim.core.names import parse_safe_filename
from pypim.core.served import file_paths

DIGESTS = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)


def files_from(digests: list[tuple[str | None, str | None]]) -> list[DistFile]:
    return [
        DistFile(
            filename=parse_safe_filename(f"lib-{number}.0.tar.gz"),
            url=f"https://files.example/{number}/lib-{number}.0.tar.gz",
            sha256=sha256,
            blake2b_256=blake2b_256,
            size=number,
        )
        for number, (sha256, blake2b_256) in enumerate(digests)
    ]


@given(st.lists(st.tuples(DIGESTS, DIGESTS), max_size=40))
def test_every_file_is_found_by_its_paths_and_no_other_is(digests: list[tuple[str | None, str | None]]) -> None:
    files = files_from(digests)
    table = file_table(files)
    reads: list[int] = []

    def read(start: int, size: int) -> bytes:
        reads.append(size)
        return table[start : start + size]

    for file in files:
        for path in file_paths(file):
            assert file_in(read, path) == file
            assert file_in(read, f"{path}x") is None
    assert file_in(read, "") is None
    assert max(reads) < 1000, "the other files are not read"
