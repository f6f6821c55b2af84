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


def test_verify_reads_what_only_the_server_fills(serve: ServeWorld, running: Running, tmp_path: Path) -> None:
    """A damaged file of a proxy is dropped and comes again; one that was uploaded can only be named."""
    upstream = serve(project("lib", "1.0"))
    server = running(f'[upstreams.up]\nurl = "{upstream.url}"\n[indexes.cache]\nkind = "proxy"\n')
    (entry,) = files_of(f"{server.url}/simple/lib/").values()
    content = ask(entry["url"]).body
    server.__exit__()
    config = tmp_path / "server" / "pypim.toml"
    (found,) = pypim("-c", config, "verify", "--json").expect().document["indexes"]
    assert (found["index"], found["report"]["files"]) == ("cache", 1)
    (held,) = (tmp_path / "server" / "data").glob("packages/**/*.whl")
    held.write_bytes(b"x" * len(content))
    pypim("-c", config, "verify").expect(7)
    pypim("-c", config, "verify", "--repair").expect()
    assert not held.exists()
    server.__enter__()
    (entry,) = files_of(f"{server.url}/simple/lib/").values()
    assert ask(entry["url"]).body == content
