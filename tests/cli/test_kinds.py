"""Commands about mirrors pass over the other kinds of index, and those about the store do without any mirror."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sync.mirror import pypim
from tests.worlds.server import WorldServer
from tests.worlds.world import World, project

_SERVER = """
[indexes.cache]
kind = "proxy"
[indexes.private]
kind = "hosted"
[indexes.all]
kind = "group"
members = ["private", "cache"]
"""
_BESIDE = """
[upstreams.world]
url = "{url}"
[indexes.main]
upstream = "world"
packages.six = "latest"
[indexes.cache]
kind = "proxy"
upstream = "world"
[indexes.private]
kind = "hosted"
[indexes.all]
kind = "group"
members = ["private", "main", "cache"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pypim.toml"
    path.write_text(_SERVER)
    return path


@pytest.mark.parametrize(
    "command", ["config check", "config show", "list", "status", "prune --dry-run", "doctor --offline"]
)
def test_without_a_mirror_there_is_still_a_store_and_a_configuration(command: str, config: Path) -> None:
    found = pypim("-c", config, *command.split(), "--json").expect()
    if command == "config check":
        assert found.document["indexes"] == ["cache", "private", "all"]
    if command == "config show":
        assert found.document["indexes"]["all"]["members"] == ["private", "cache"]
        assert found.document["server"]["default-index"] == "all"


@pytest.mark.parametrize("command", ["sync", "plan", "update", "metadata", "prove", "why six", "why-not six"])
def test_what_is_about_mirrors_says_that_there_is_none(command: str, config: Path) -> None:
    """Nothing was done, which is not the same as done."""
    found = pypim("-c", config, *command.split()).expect(2)
    assert "no mirror is configured" in found.stderr
    assert "`pypim serve` serves what is: cache, private, all." in found.stderr.replace(f" -c {config}", "")


def test_beside_other_kinds_a_mirror_is_synced_as_ever(tmp_path: Path) -> None:
    config = tmp_path / "pypim.toml"
    with WorldServer(World.of(project("six", "1.16.0"))) as server:
        config.write_text(_BESIDE.format(url=server.url))
        pypim("-c", config, "sync").expect()
        for command in ("plan", "prove", "verify", "prune", "doctor", "status", "list six", "why six"):
            pypim("-c", config, *command.split()).expect()
        rows = pypim("-c", config, "status", "--json").expect().document["indexes"]
        assert [row["index"] for row in rows] == ["main", "cache", "private", "all"]
        for name in ("cache", "private", "all"):
            found = pypim("-c", config, "sync", "--index", name).expect(2)
            assert f"serves {name}. Mirrors that are configured: main." in found.stderr
