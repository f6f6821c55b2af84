"""What `list` and `status` show of indexes that only the server fills."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import ServeWorld
from tests.sync.mirror import pypim
from tests.web.asking import ask, files_of
from tests.web.conftest import Running
from tests.worlds.world import project


def test_status_and_list_show_every_kind(serve: ServeWorld, running: Running, tmp_path: Path) -> None:
    """A proxy what it kept, a hosted index what was uploaded, a group its members."""
    upstream = serve(project("lib", "1.0"))
    text = f"""
[upstreams.up]
url = "{upstream.url}"
[indexes.cache]
kind = "proxy"
[indexes.own]
kind = "hosted"
[indexes.all]
kind = "group"
members = ["own", "cache"]
"""
    server = running(text)
    (entry,) = files_of(f"{server.url}/all/simple/lib/").values()
    assert ask(entry["url"]).status == 200
    server.__exit__()  # what was kept is on record when the server has stopped
    config = tmp_path / "server" / "pypim.toml"
    rows = {row["index"]: row for row in pypim("-c", config, "status", "--json").expect().document["indexes"]}
    assert {name: (row["kind"], row["state"], row["files"]) for name, row in rows.items()} == {
        "cache": ("proxy", "ready", 1),
        "own": ("hosted", "empty", 0),
        "all": ("group", "ready", 0),
    }
    assert rows["all"]["members"] == ["own", "cache"]
    listed = pypim("-c", config, "list", "lib", "--index", "cache", "--json").expect().document["releases"]
    assert [(one["project"], one["version"], one["files"][0]["is_held"]) for one in listed] == [("lib", "1.0", True)]
    assert "all (group of own, cache): ready" in pypim("-c", config, "status").expect().stdout
    pypim("-c", config, "list", "--index", "nothing").expect(2)
