"""What pip and uv make of old and odd files, as they were seen to: the table of `tests/clients/readings.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Bound(msgspec.Struct, frozen=True):
    """A Requires-Python, and for which of the Pythons ("y", else "-") a file is taken."""

    text: str
    uv: str
    pip: str


class Required(msgspec.Struct, frozen=True, rename="kebab"):
    """A requirement on NAME, and who reads it: uv where the name ends in a letter, or in a digit; pip."""

    text: str
    uv: bool
    uv_digit: bool
    pip: bool


class Marked(msgspec.Struct, frozen=True):
    """A marker, and for whom it holds, for Python 3.12.0 on Linux and with the extra x.

    What it means to pip (None) depends on the Python that runs it, or it gives up.
    """

    text: str
    uv: bool
    pip: bool | None


class Named(msgspec.Struct, frozen=True):
    """The name of a file of the project lib-X, and who takes it."""

    name: str
    uv: bool
    pip: bool


class Described(msgspec.Struct, frozen=True):
    """The METADATA of NAME 2.0, and who takes the wheel; pip None: it gives up, whatever else there is."""

    about: str
    body: str
    uv: bool
    pip: bool | None


class Readings(msgspec.Struct, frozen=True, rename="kebab"):
    """The table."""

    pythons: tuple[str, ...]
    requires_python: tuple[Bound, ...]
    requirements: tuple[Required, ...]
    markers: tuple[Marked, ...]
    names: tuple[Named, ...]
    metadata: tuple[Described, ...]


def _read() -> Readings:
    path = Path(__file__).parent.parent / "clients" / "readings.json"
    return msgspec.json.decode(path.read_bytes(), type=Readings)


READINGS = _read()
