"""Of generated worlds: `why` names each root for which a release would be held if nothing else were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sync.mirror import Document, Mirror
from tests.worlds.generated import asked, generated
from tests.worlds.tree import write_tree

PROJECTS = 14
TARGETS = {"t": {"python": ["3.11", "3.12"], "platforms": ["linux", "windows"]}}


def held(document: Document) -> set[str]:
    return {f"{one['project']} {one['version']}" for one in document["releases"]}


def mirror_of(folder: Path, upstream: str, *roots: str) -> Mirror:
    """Synced as far as it can be; worlds that nobody wrote have much that cannot be installed."""
    mirror = Mirror(folder).configure(upstream, targets=TARGETS, packages=dict.fromkeys(roots, "latest"))
    assert mirror.run("sync", "--keep-going").status in {0, 1}
    return mirror


@pytest.mark.parametrize("seed", [513, 532, 584, 625])
def test_why_names_the_roots_for_which_a_release_is_held(tmp_path: Path, seed: int) -> None:
    upstream = write_tree(generated(seed, projects=PROJECTS, versions=6), tmp_path / "upstream")
    roots = asked(seed, 5, projects=PROJECTS)
    alone = {
        root: held(mirror_of(tmp_path / f"alone-{number}", upstream, root).run("list", "--json").document)
        for number, root in enumerate(roots)
    }
    mirror = mirror_of(tmp_path / "mirror", upstream, *roots)
    releases = held(mirror.run("list", "--json").document)
    assert releases == set().union(*alone.values())
    for release in releases:
        document = mirror.run("why", release.replace(" ", "=="), "--all", "--json").expect().document
        told = {chain["links"][0]["by"] for kept in document["kept"] for chain in kept["release"]["chains"]}
        assert told == {f"packages.{root}" for root in roots if release in alone[root]}, release
