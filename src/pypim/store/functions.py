"""What SQL alone cannot read, for migrations: names, versions, requirements and METADATA, as the core reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import InvalidName
from pypim.core.metadata import read_again
from pypim.core.model import CoreMetadata
from pypim.core.names import parse_name
from pypim.core.required import release_of, requirement_parts
from pypim.store.packing import UNDECODABLE, unpack

if TYPE_CHECKING:
    import sqlite3

_encode = msgspec.json.Encoder().encode
_decode_metadata = msgspec.json.Decoder(CoreMetadata).decode


def offer_functions(connection: sqlite3.Connection) -> None:
    """Make them known to a connection. Each gives NULL for what cannot be read."""
    connection.create_function("read_name", 1, _name, deterministic=True)
    connection.create_function("read_version", 1, release_of, deterministic=True)
    connection.create_function("read_requirement", 1, _requirement, deterministic=True)
    connection.create_function("read_again", 2, _again, deterministic=True)


def _name(text: str | None) -> str | None:
    try:
        return parse_name(text or "")
    except InvalidName:
        return None


def _requirement(text: str) -> str | None:
    """[name, extras, specifier, marker] as JSON."""
    parts = requirement_parts(text)
    return None if parts is None else _encode(parts).decode()


def _again(decoded: str, packed: bytes) -> str | None:
    """What comes of core metadata now; NULL where that is the same, or damaged, which is for others to tell."""
    try:
        known, body = _decode_metadata(decoded), unpack(packed)
    except UNDECODABLE:
        return None
    again = read_again(known, body)
    return None if again is known else _encode(again).decode()
