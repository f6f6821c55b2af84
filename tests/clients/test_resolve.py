"""The promise, with real installers: what resolves from the upstream resolves from the mirror alone.

`PYPIM_WORLDS=300` tries so many generated worlds; `PYPIM_WORLDS=100:400` those of these seeds.
"""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.clients.clients import pins, pip_resolve, uv_compile
from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, Outcome
from tests.worlds.generated import asked, generated, older
from tests.worlds.spoilt import spoilt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds.world import World

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = ("linux", "windows", "macos")
TARGETS = {"all": {"python": [*PYTHONS], "platforms": [*PLATFORMS]}, "here": {"python": [HERE], "platforms": ["linux"]}}
MACHINES = list(product(PYTHONS, PLATFORMS))
MOST_SHARE = 1.3
MOST_TRIED = 10


class Tried(NamedTuple):
    """What is resolved together on one machine."""

    texts: tuple[str, ...]
    python: str
    platform: str


def seeds(few: int = 40) -> range:
    """Those that are tried: few here, more where somebody has the time."""
    first, _, last = os.environ.get("PYPIM_WORLDS", str(few)).rpartition(":")
    return range(int(first or 0), int(last))


def mirror_of(folder: Path, url: str, roots: list[str], *, has_sdists: bool = False) -> Mirror:
    """What pypim holds of an upstream for these roots; what cannot be installed anyway stops nothing."""
    mirror = Mirror(folder).configure(
        url,
        targets=TARGETS,
        requirements=["requirements.txt"],
        dependencies={"versions": "resolve"},
        filters={} if has_sdists else {"formats": ["wheel"]},
    )
    (folder / "requirements.txt").write_text("\n".join(roots) + "\n")
    outcome: Outcome = mirror.run("sync", "--keep-going")
    outcome.expect(outcome.status if outcome.status in {0, 1} else 0)
    return mirror


def resolved(url: str, tried: list[Tried], *, has_sdists: bool = False) -> list[dict[str, str] | None]:
    """What uv chooses for each; None where it finds that nothing fits."""

    def one(tried: Tried) -> dict[str, str] | None:
        options = ("--no-cache",) if has_sdists else ("--only-binary", ":all:", "--no-cache")
        machine = {"python_version": tried.python, "python_platform": tried.platform}
        answer = uv_compile(url, tried.texts, *options, **machine)
        return pins(answer) if answer.ok else None

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, tried))


class Proof(NamedTuple):
    """What pypim says of one release of a root on one machine."""

    tried: Tried
    is_installable: bool
    is_for_uv: bool


def proofs(mirror: Mirror) -> list[Proof]:
    """Of every release that is held for a root; where one fails that the upstream can satisfy, a filter is why."""
    outcome = mirror.run("prove", "--json")
    assert outcome.status in {0, 9}, outcome.stderr
    (report,) = outcome.document["indexes"]
    found = []
    for proof in report["proofs"]:
        target, _, python, platform = proof["environment"].split()
        if target == "all" and proof["version"]:
            assert proof["state"] in {"installable", "impossible"} or proof["cause"] == "filter", proof
            name = re.split("[<>]", proof["root"])[0]
            version = proof["version"]
            # A pin would admit what of it is yanked, which the root does not.
            only = f"=={version}" if "+" in version else f">={version},<={version}"
            tried = Tried((name + only,), python, platform)
            found.append(Proof(tried, proof["state"] == "installable", proof["reading"] != "pip"))
    return found


def partly_held(world: World, mirror: Mirror) -> set[tuple[str, str]]:
    """The releases of which the mirror does not have every wheel."""
    held = {filename for names in mirror.published().values() for filename in names}
    return {(one.project, one.version) for one in world.files if one.kind == "wheel" and one.filename not in held}


def on_each(*texts: str) -> list[Tried]:
    """These requirements together, on each machine."""
    return [Tried(texts, *machine) for machine in MACHINES]


@pytest.mark.parametrize(("make", "seed"), [*product([generated], seeds()), *product([spoilt], seeds(12))])
def test_what_uv_resolves_from_the_upstream_it_resolves_from_the_mirror(
    serve: ServeWorld, tmp_path: Path, make: Callable[[int], World], seed: int
) -> None:
    """Every root, alone and with the others, and every release that is held for a root, on machines of every kind.

    And of those releases `prove` says just what uv says. On this machine the same holds for pip.
    """
    world, roots = make(seed), asked(seed, 3)
    upstream = serve(world).url
    mirror = mirror_of(tmp_path / "mirror", upstream, roots)
    asked_for = [*on_each(*roots), *(tried for root in roots for tried in on_each(root))]
    tried = Random(seed).sample(asked_for, MOST_TRIED)
    wanted = [one for one, chosen in zip(tried, resolved(upstream, tried), strict=True) if chosen is not None]
    assert [one for one, chosen in zip(wanted, resolved(mirror.url, wanted), strict=True) if chosen is None] == []
    proved = Random(seed).sample(every := proofs(mirror), min(len(every), MOST_TRIED))
    lacking = partly_held(world, mirror)
    tried = [proof.tried for proof in proved]
    for proof, theirs, ours in zip(proved, resolved(upstream, tried), resolved(mirror.url, tried), strict=True):
        assert (ours is not None) is (proof.is_installable and proof.is_for_uv), proof
        assert (theirs is not None) is (ours is not None) or (ours and lacking.intersection(ours.items())), proof
    for root in roots[:1] if sys.platform == "linux" else ():
        assert pip_resolve(mirror.url, root).ok or not pip_resolve(upstream, root).ok, root


@pytest.mark.parametrize(("make", "seed"), [*product([generated], seeds(8)), *product([spoilt], seeds(4))])
def test_what_uv_resolves_with_sdists_it_resolves_from_the_mirror(
    serve: ServeWorld, tmp_path: Path, make: Callable[..., World], seed: int
) -> None:
    """The same where sdists stand beside wheels or alone, and for roots at older releases.

    uv reads a wheel for another machine in place of an sdist, even where they differ.
    """
    world, roots = make(seed, has_sdists=True), older(seed, asked(seed, 3))
    upstream = serve(world).url
    mirror = mirror_of(tmp_path / "mirror", upstream, roots, has_sdists=True)
    asked_for = [*on_each(*roots), *(tried for root in roots for tried in on_each(root))]
    tried = Random(seed).sample(asked_for, MOST_TRIED)
    found = resolved(upstream, tried, has_sdists=True)
    wanted = [one for one, chosen in zip(tried, found, strict=True) if chosen is not None]
    answers = resolved(mirror.url, wanted, has_sdists=True)
    assert [one for one, chosen in zip(wanted, answers, strict=True) if chosen is None] == []
    proved = Random(seed).sample(every := proofs(mirror), min(len(every), MOST_TRIED))
    ours = resolved(mirror.url, [proof.tried for proof in proved], has_sdists=True)
    for proof, chosen in zip(proved, ours, strict=True):
        assert (chosen is not None) is (proof.is_installable and proof.is_for_uv), proof


def test_a_mirror_holds_little_more_than_uv_needs(
    serve: ServeWorld, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """At most 1.3 times the bytes of all that uv chooses for the same roots and targets, where all of that resolves.

    Without wheels of which pip takes another than uv: what pip needs besides is held too, and is not counted here.
    """
    held = needed = 0
    for seed in range(6):
        world, roots = generated(seed, projects=16, has_alike=False), asked(seed, 5, projects=16)
        upstream = serve(world).url
        found = {root: resolved(upstream, on_each(root)) for root in roots}
        good = [root for root, chosen in found.items() if None not in chosen]
        mirror = mirror_of(tmp_path / str(seed), upstream, good)
        choices = [*resolved(upstream, on_each(*good)), *(chosen for root in good for chosen in found[root])]
        held += _bytes(world, mirror, None)
        needed += _bytes(world, mirror, {pin for chosen in choices if chosen for pin in chosen.items()})
    record_property("share", round(held / needed, 3))
    assert held <= MOST_SHARE * needed, held / needed


def _bytes(world: World, mirror: Mirror, chosen: set[tuple[str, str]] | None) -> int:
    """The bytes of what is held, or of the part that belongs to these releases."""
    files = [world.file(filename) for names in mirror.published().values() for filename in names]
    return sum(file.size for file in files if chosen is None or (file.project, file.version) in chosen)
