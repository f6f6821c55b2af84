"""A body in any number of chunks is decoded to what it was, within its limit."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.errors import UpstreamFault, UpstreamMalformed
from pypim.net.body import read_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


async def in_chunks(body: bytes, cuts: Sequence[int]) -> AsyncIterator[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, stop in pairwise(edges):
        yield body[start:stop]


BODIES = st.binary(max_size=3000) | st.binary(max_size=30).map(lambda piece: piece * 200_000)


@settings(max_examples=60)
@given(st.lists(BODIES, max_size=3), st.lists(st.integers(0, 10**6), max_size=8), st.booleans())
async def test_what_was_compressed_comes_back_whatever_the_chunks(
    parts: list[bytes], cuts: list[int], is_zlib: bool
) -> None:
    plain = b"".join(parts)
    packed = zlib.compress(plain) if is_zlib else b"".join(map(gzip.compress, parts))
    encoding = "deflate" if is_zlib else "gzip"
    assert await read_body(in_chunks(packed, cuts), encoding, "u", len(plain)) == plain
    assert await read_body(in_chunks(plain, cuts), None, "u", len(plain)) == plain
    if plain:
        for body, name in ((packed, encoding), (plain, None)):
            with pytest.raises(UpstreamMalformed, match="longer than"):
                await read_body(in_chunks(body, cuts), name, "u", len(plain) - 1)


@settings(max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "br", "GZIP ", "x"]))
async def test_no_bytes_raise_anything_but_a_fault_of_the_upstream(body: bytes, encoding: str) -> None:
    with suppress(UpstreamFault):
        await read_body(in_chunks(body, [5, 9]), encoding, "u", 1000)
