"""Which wheel of a release is taken for what uv and pip take is what they were seen to; see `tests/clients`."""

from __future__ import annotations

import pytest

from pypim.core.candidates import Chooser
from pypim.core.library import Facts, Library
from pypim.core.metadata import parse_metadata
from pypim.core.model import CoreMetadata, DistFile, MetadataSource, Page
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.policy import Filters, Policy
from pypim.core.readings import Reading
from pypim.core.target import TargetSpec, environments
from tests.core.offers import NOW
from tests.core.wheels import PAIRS, Listed, Pair

LIB = parse_name("lib")


def told(version: str) -> CoreMetadata:
    text = f"Metadata-Version: 2.1\nName: lib\nVersion: {version}\n"
    return parse_metadata(text.encode(), MetadataSource.WHEEL)


def taken(wheels: list[Listed], reading: Reading) -> str | None:
    """The name of the wheel that is taken, as far as an installer takes the release at all."""
    files = tuple(
        DistFile(
            filename=parse_safe_filename(one.filename),
            url=f"https://files.example/{one.filename}",
            requires_python=one.python,
            yanked=one.yanked,
        )
        for one in wheels
    )
    machine = environments({"t": TargetSpec(python=("3.12",), platforms=("linux",))})
    facts = Facts(None)
    library = Library(facts, Chooser(machine, Policy.compile(Filters(), ""), NOW, reading), {}, reading)
    facts.pages[LIB] = Page(name=LIB, files=files)
    facts.metadata.update((file.identity, told(one.version)) for file, one in zip(files, wheels, strict=True))
    universe = library.universe(LIB)
    assert universe is not None
    assert list(library.examine(universe, 0, 1)) == []
    found = library.preferred(universe.releases[0], universe.mask(0))
    return found[0][0].file.filename if universe.mask(0) else None


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.about)
@pytest.mark.parametrize("order", [0, 1])
def test_of_two_wheels(pair: Pair, order: int) -> None:
    """The build tag counts after the other tags; of what is alike uv takes the first by name, pip the last listed."""
    wheels = list(pair.wheels[::-1] if order else pair.wheels)
    for reading, told in ((Reading.UV, pair.uv[order]), (Reading.PIP, pair.pip[order])):
        assert taken(wheels, reading) == (None if told is None else pair.wheels[told].filename)
