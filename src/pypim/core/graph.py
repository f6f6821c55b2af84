"""The dependency graph of a selection: releases as nodes, requirements as edges, and its text for Graphviz.

Source of the text: "The DOT Language", graphviz.org: of a quoted string only the quote itself must be escaped, and in a
label the backslash too, which begins an escape sequence there ("escString"), and the ampersand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pypim.core.selection import ChosenRelease, Selection

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_KILO = 1000


class GraphFile(msgspec.Struct, frozen=True, kw_only=True):
    """One distribution file."""

    filename: str
    size: int | None
    """In bytes; None where nobody says."""


class GraphRoot(msgspec.Struct, frozen=True, kw_only=True):
    """A rule or requirement of the configuration that takes a release."""

    origin: str
    """Where it stands."""
    requirement: str
    environments: tuple[str, ...]


class GraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """One release."""

    id: str
    """"project version"; unique in its graph."""
    project: str
    version: str
    files: tuple[GraphFile, ...]
    size: int
    """Of all files together in bytes, as far as anybody says."""
    roots: tuple[GraphRoot, ...]


class GraphEdge(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement of a release, and a release that satisfies it."""

    source: str
    """The id of the node that requires."""
    target: str
    """The id of the node that is required."""
    requirement: str
    environments: tuple[str, ...]
    """Where it holds."""
    is_build: bool
    """Whether the source needs it to be built from its sdist, rather than to run."""


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What an index would hold."""

    index: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


def graph_of(index: str, selection: Selection, sizes: Mapping[str, int]) -> Graph:
    """The graph of a selection. `sizes`: identity → bytes, of files whose page says none.

    What a release once was required for that is listed no more makes no edge.
    """
    known = {(release.project, release.version) for release in selection.releases}
    edges = [
        GraphEdge(
            source=f"{reason.parent_project} {reason.parent_version}",
            target=f"{release.project} {release.version}",
            requirement=reason.requirement,
            environments=reason.environments,
            is_build=reason.is_build,
        )
        for release in selection.releases
        for reason in release.reasons
        if (reason.parent_project, reason.parent_version) in known
    ]
    nodes = tuple(_node(release, sizes) for release in selection.releases)
    return Graph(index=index, nodes=nodes, edges=tuple(sorted(edges, key=lambda edge: (edge.source, edge.target))))


def _node(release: ChosenRelease, sizes: Mapping[str, int]) -> GraphNode:
    files = tuple(
        GraphFile(filename=file.filename, size=file.size if file.size is not None else sizes.get(file.identity))
        for file in release.files
    )
    roots = tuple(
        GraphRoot(origin=reason.origin, requirement=reason.requirement, environments=reason.environments)
        for reason in release.reasons
        if not reason.parent_project
    )
    return GraphNode(
        id=f"{release.project} {release.version}",
        project=release.project,
        version=release.version,
        files=files,
        size=sum(file.size or 0 for file in files),
        roots=roots,
    )


# --- Graphviz -------------------------------------------------------------------------------------------------------
def render_dot(graphs: Sequence[Graph]) -> str:
    """The graphs as one document of the DOT language, each in a frame of its own where there are several.

    What was asked for has a bold frame and says where; what builds a release is dashed. An edge names its environments
    where it does not hold in all of its index.
    """
    lines = ["digraph pypim {", "  rankdir=LR;", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    lines += ['  edge [fontname="sans-serif", fontsize=10];']
    for number, graph in enumerate(graphs):
        if len(graphs) == 1:
            lines += [f"  {line}" for line in _statements(graph, "")]
        else:
            lines += [f"  subgraph cluster_{number} {{", f"    label={_label(graph.index)};"]
            lines += [f"    {line}" for line in _statements(graph, f"{graph.index}: ")]
            lines += ["  }"]
    return "\n".join([*lines, "}", ""])


def _statements(graph: Graph, prefix: str) -> Iterator[str]:
    environments = {name for edge in graph.edges for name in edge.environments}
    environments |= {name for node in graph.nodes for root in node.roots for name in root.environments}
    for node in graph.nodes:
        files = f"{len(node.files)} file{'' if len(node.files) == 1 else 's'}, {node.size / _KILO:,.1f} kB"
        asked = [f"{root.origin}: {root.requirement}" for root in node.roots]
        label = "\n".join([node.id, *asked, files])
        bold = ', style="rounded,bold"' if node.roots else ""
        yield f"{_quoted(prefix + node.id)} [label={_label(label)}{bold}];"
    for edge in graph.edges:
        where = [] if environments == set(edge.environments) else [", ".join(edge.environments)]
        dashed = ", style=dashed" if edge.is_build else ""
        label = "\n".join([edge.requirement, *(f"[{text}]" for text in where)])
        yield (f"{_quoted(prefix + edge.source)} -> {_quoted(prefix + edge.target)} [label={_label(label)}{dashed}];")


def _label(text: str) -> str:
    """The same where Graphviz shows it, for which it also replaces what HTML calls an entity."""
    return _quoted(text.replace("&", "&amp;"))


def _quoted(text: str) -> str:
    """A quoted string that shows the text as it is; line feeds stay, and other control characters are no text."""
    escaped = _CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
