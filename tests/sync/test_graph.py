"""`plan --graph FILE` writes the dependency graph of what would be held."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, files_below, pypim, wheels
from tests.worlds.world import World, project, release, sdist

WORLD = World.of(
    project("app", release("1.0", requires=["lib[fast]<2", "old; python_version < '3'"])),
    project("lib", release("1.0", requires=["speed; extra == 'fast'"]), "2.0"),
    project("speed", release("1.0", sdist(builds_with=["tool"]))),
    project("tool", "1.0"),
    project("setuptools", "75.0"),
    project("old", "1.0"),
)


def test_the_graph_of_a_plan_as_json(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest", "lib": "latest"})
    file = mirror.folder / "graphs" / "plan.json"
    assert mirror.plan("--graph", str(file)) == mirror.plan()
    assert list(files_below(mirror.folder)) == ["graphs/plan.json", "pypim.toml"]
    (graph,) = json.loads(file.read_text())["indexes"]
    assert graph["index"] == "main"
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert {name: [root["origin"] for root in node["roots"]] for name, node in nodes.items() if node["roots"]} == {
        "app 1.0": ["packages.app"],
        "lib 2.0": ["packages.lib"],
    }
    assert [file["filename"] for file in nodes["app 1.0"]["files"]] == wheels("app 1.0")
    assert nodes["app 1.0"]["size"] == nodes["app 1.0"]["files"][0]["size"] > 0
    edges = {(edge["source"], edge["target"]): edge for edge in graph["edges"]}
    assert {*edges} >= {("app 1.0", "lib 1.0"), ("lib 1.0", "speed 1.0"), ("speed 1.0", "tool 1.0")}
    assert edges["speed 1.0", "tool 1.0"]["is_build"]
    assert edges["lib 1.0", "speed 1.0"] == {
        "source": "lib 1.0",
        "target": "speed 1.0",
        "requirement": "speed; extra == 'fast'",
        "environments": ["linux cpython 3.12 linux"],
        "is_build": False,
    }
    assert {name for edge in edges for name in edge} <= set(nodes)


@pytest.mark.parametrize("command", [("plan",), ("sync", "--dry-run")])
@pytest.mark.parametrize("suffix", [".dot", ".gv", ".DOT"])
def test_the_graph_of_a_plan_for_graphviz(
    serve: ServeWorld, mirror: Mirror, command: tuple[str, ...], suffix: str
) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    file = mirror.folder / f"plan{suffix}"
    mirror.run(*command, "--graph", file).expect()
    assert sorted(files_below(mirror.folder)) == sorted([file.name, "pypim.toml"])
    text = file.read_text()
    assert text.startswith("digraph pypim {\n")
    assert '"app 1.0" -> "lib 1.0" [label="lib[fast]<2"];' in text
    assert '"speed 1.0" -> "tool 1.0" [label="tool", style=dashed];' in text


def test_every_index_is_in_the_graph(serve: ServeWorld, mirror: Mirror) -> None:
    url = serve(WORLD).url
    mirror.write(
        f'[upstreams.world]\nurl = "{url}"\n'
        '[indexes.one]\nupstream = "world"\n[indexes.one.packages]\nlib = "latest"\n'
        '[indexes.two]\nupstream = "world"\n[indexes.two.packages]\nlib = "1.0"\n'
    )
    mirror.run("plan", "--graph", mirror.folder / "plan.dot").expect()
    text = (mirror.folder / "plan.dot").read_text()
    assert 'label="one";' in text
    assert '"two: lib 1.0" [label="lib 1.0\\npackages.lib: 1.0\\n' in text
    mirror.run("plan", "--index", "two", "--graph", mirror.folder / "plan.dot").expect()
    assert '"lib 1.0" [label="lib 1.0' in (mirror.folder / "plan.dot").read_text()


def test_a_plan_that_was_made_before_has_a_graph_too(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    mirror.sync()
    mirror.plan()
    mirror.run("plan", "--graph", mirror.folder / "plan.gv").expect()
    assert "lib 1.0" in (mirror.folder / "plan.gv").read_text()


def test_a_file_that_cannot_be_a_graph_is_refused_before_anything_is_asked(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    error = mirror.run("plan", "--graph", "plan.svg", "--json").expect(2).error
    assert "FILE has to end in .dot, .gv, .json" in error["message"]
    error = mirror.run("sync", "--graph", "plan.dot", "--json").expect(2).error
    assert "--dry-run" in error["message"]
    assert not server.requests
    assert "--graph FILE" in pypim("plan", "--help").expect().stdout
