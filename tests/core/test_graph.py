"""The graph of a selection, and its text for Graphviz, read again by Graphviz itself where it is installed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.graph import Graph, GraphEdge, GraphNode, GraphRoot, graph_of, render_dot
from tests.core.offers import Following, Offer, choose, pythons, small

DOT = shutil.which("dot")
WORLD = small(
    {
        "app": {"1.0": ["lib[fast]>=1", "old; python_version < '3.12'"]},
        "lib": {"2.0": Offer(requires=("speed; extra == 'fast'",), extras=("fast",), size=None), "1.0": []},
        "speed": {"speed-1.0.tar.gz": Offer(build_requires=("tool>=3",))},
        "old": {"1.0": []},
        "tool": {"3.0": []},
    },
    "app",
    "lib<2",
    targets=pythons("3.11", "3.12"),
    dependencies=Following(versions="resolve"),
)


def graph() -> Graph:
    selection = choose(WORLD)
    (lib,) = (release for release in selection.releases if (release.project, release.version) == ("lib", "2.0"))
    return graph_of("main", selection, {lib.files[0].identity: 77})


def test_a_node_is_a_release_and_an_edge_a_requirement() -> None:
    found = graph()
    nodes = {node.id: node for node in found.nodes}
    assert list(nodes) == ["app 1.0", "lib 1.0", "lib 2.0", "old 1.0", "speed 1.0", "tool 3.0"]
    assert [(root.origin, root.requirement) for root in nodes["lib 1.0"].roots] == [("command line", "lib<2")]
    assert not nodes["lib 2.0"].roots
    assert [(file.filename, file.size) for file in nodes["lib 2.0"].files] == [("lib-2.0-py3-none-any.whl", 77)]
    assert nodes["app 1.0"].size == 1000
    assert [(edge.source, edge.target, edge.requirement, edge.is_build) for edge in found.edges] == [
        ("app 1.0", "lib 2.0", "lib[fast]>=1", False),
        ("app 1.0", "old 1.0", "old; python_version < '3.12'", False),
        ("lib 2.0", "speed 1.0", "speed; extra == 'fast'", False),
        ("speed 1.0", "tool 3.0", "tool>=3", True),
    ]
    assert found.edges[1].environments == ("t cpython 3.11 linux",)
    assert {edge.source for edge in found.edges} | {edge.target for edge in found.edges} <= set(nodes)


def test_the_text_shows_roots_builds_and_environments() -> None:
    text = render_dot([graph()])
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "digraph pypim {"
    assert '"app 1.0" [label="app 1.0\\ncommand line: app\\n1 file, 1.0 kB", style="rounded,bold"];' in lines
    assert '"lib 2.0" [label="lib 2.0\\n1 file, 0.1 kB"];' in lines
    assert '"app 1.0" -> "lib 2.0" [label="lib[fast]>=1"];' in lines
    assert '"app 1.0" -> "old 1.0" [label="old; python_version < \'3.12\'\\n[t cpython 3.11 linux]"];' in lines
    assert '"speed 1.0" -> "tool 3.0" [label="tool>=3", style=dashed];' in lines


def drawn(text: str) -> dict[str, Any]:
    """What Graphviz reads in it."""
    assert DOT is not None
    done = subprocess.run([DOT, "-Tjson0"], input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


needs_dot = pytest.mark.skipif(DOT is None, reason="graphviz is not installed (tools/debian.sh installs it)")


@needs_dot
def test_graphviz_reads_several_indexes_each_in_its_frame() -> None:
    document = drawn(render_dot([graph(), Graph(index='o"ther', nodes=(), edges=()), graph()]))
    frames = [one["label"] for one in document["objects"] if one["name"].startswith("cluster_")]
    assert frames == ["main", 'o"ther', "main"]


TEXTS = st.text(
    st.sampled_from("""ab"'\\\nN<>&;[]{}|# \t\u00e9\u2192""") | st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=12,
)


@needs_dot
@settings(max_examples=25, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_whatever_stands_in_a_requirement_is_shown_as_it_is(name: str, origin: str, requirement: str) -> None:
    """Graphviz reads the very names back, and as many nodes and edges as there are."""
    nodes = tuple(
        GraphNode(
            id=f"{number} {name}",
            project=name,
            version="1",
            files=(),
            size=0,
            roots=(GraphRoot(origin=origin, requirement=requirement, environments=("any",)),),
        )
        for number in range(2)
    )
    edge = GraphEdge(
        source=nodes[0].id, target=nodes[1].id, requirement=requirement, environments=("any",), is_build=False
    )
    document = drawn(render_dot([Graph(index="main", nodes=nodes, edges=(edge,))]))
    assert len(document["objects"]) == 2
    assert len(document["edges"]) == 1
    shown = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), document["edges"][0]["label"])
    assert html.unescape(shown) == re.sub(r"[\x01-\x09\x0b-\x1f\x7f]", " ", requirement)
