"""`pypim sync REQ --index PROXY` fetches beforehand what clients of the proxy will ask for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pypim.store.catalog import Catalog
from tests.sync.mirror import pypim
from tests.worlds import faults
from tests.worlds.world import World, project, release, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld
    from tests.worlds.server import WorldServer

WORLD = World.of(
    project("app", release("1.0", wheel(), requires=["lib>=1"]), release("0.9", wheel())),
    project("lib", release("1.0", wheel("cp27-cp27m-win32"), wheel())),
    project("other", "1.0"),
)


def written(folder: Path, upstream: WorldServer) -> Path:
    path = folder / "pypim.toml"
    path.write_text(
        f'[store]\npath = "data"\n[upstreams.up]\nurl = "{upstream.url}"\n'
        '[indexes.cache]\nkind = "proxy"\nupstream = "up"\n[indexes.private]\nkind = "hosted"\n',
        "utf-8",
    )
    return path


def kept(folder: Path) -> list[str]:
    with Catalog.open(folder / "data" / "catalog.sqlite") as catalog:
        assert catalog.generations.current("cache") is None, "nothing is listed by it"
        return sorted(file.filename for file in catalog.cached.oldest("cache", 1e12))


def test_what_the_requirements_need_on_this_machine_is_kept(serve: ServeWorld, tmp_path: Path) -> None:
    upstream = serve(WORLD)
    config = written(tmp_path, upstream)
    document = json.loads(pypim("-c", config, "--json", "sync", "app", "--index", "cache").expect().stdout)
    assert document["indexes"][0]["fetched_files"] == 2
    assert kept(tmp_path) == ["app-1.0-py3-none-any.whl", "lib-1.0-py3-none-any.whl"]
    upstream.forget_requests()
    document = json.loads(pypim("-c", config, "--json", "sync", "app", "--index", "cache").expect().stdout)
    assert document["indexes"][0]["outcome"] == "unchanged"
    assert not upstream.asked("*.whl")


def test_a_requirements_file_and_another_machine(serve: ServeWorld, tmp_path: Path) -> None:
    config = written(tmp_path, serve(WORLD))
    (tmp_path / "requirements.txt").write_text("lib\nother\n", "utf-8")
    words = (
        "sync",
        "-r",
        tmp_path / "requirements.txt",
        "--index",
        "cache",
        "--python",
        "3.12",
        "--platform",
        "windows",
    )
    pypim("-c", config, *words).expect()
    assert kept(tmp_path) == ["lib-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl"]


def test_a_plan_changes_nothing(serve: ServeWorld, tmp_path: Path) -> None:
    upstream = serve(WORLD)
    config = written(tmp_path, upstream)
    pypim("-c", config, "plan", "app", "--index", "cache").expect()
    assert not upstream.asked("*.whl")
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_had_is_said_and_what_can_is_kept(serve: ServeWorld, tmp_path: Path) -> None:
    upstream = serve(WORLD)
    config = written(tmp_path, upstream)
    upstream.misbehave("*lib*.whl", faults.wrong_bytes())
    result = pypim("-c", config, "sync", "app", "--index", "cache", "--keep-going")
    result.expect(1)
    assert kept(tmp_path) == ["app-1.0-py3-none-any.whl"]
    pypim("-c", config, "sync", "app", "--index", "cache").expect(7)
    pypim("-c", config, "sync", "nothing", "--index", "cache").expect(3)


def test_other_kinds_and_a_proxy_without_requirements_are_refused(serve: ServeWorld, tmp_path: Path) -> None:
    config = written(tmp_path, serve(WORLD))
    for words in (("--index", "cache"), ("app", "--index", "private")):
        assert "this command is about mirrors" in pypim("-c", config, "sync", *words).expect(2).stderr
