"""A commented `pypim.toml` of a mirror: what was chosen is written, every other key of it stands there as a comment."""

from __future__ import annotations

import textwrap
from typing import Any

import msgspec

from pypim.config import toml
from pypim.config.describe import TABLES, keys

_WIDTH = 100
_HEAD = """\
# The configuration of pypim. `pypim config check` checks it, `pypim plan` shows what a sync would do, and
# `pypim sync` does it. Keys that are commented out show their default, or an example where there is none.
"""
_RULES = """\
# Project = rule or list of rules. A rule is "latest", "2 latest", either followed by a specifier ("2 latest<3"),
# a specifier (">=1.2,<3": every release that matches), a version ("1.2"), or "*" for every release.
# Extras stand in brackets: "uvicorn[standard]" = "latest"."""
_PATTERNS = """\
# Regular expression on the whole normalised name = rule or list of rules. This asks for the upstream's full list.
# "zope-.*" = "latest\""""


class Draft(msgspec.Struct, kw_only=True):
    """What is known of a configuration that is to be written; tables hold keys as the file has them."""

    store: dict[str, Any] = msgspec.field(default_factory=lambda: {"path": "data"})
    upstream: dict[str, Any] = msgspec.field(default_factory=lambda: {"url": "pypi"})
    targets: dict[str, dict[str, Any]] = {}
    index: dict[str, Any] = {}
    packages: dict[str, list[str]] = {}
    patterns: dict[str, list[str]] = {}
    dependencies: dict[str, Any] = {}
    filters: dict[str, Any] = {}
    remarks: tuple[str, ...] = ()
    """Lines for the head of the file."""


def render(draft: Draft) -> str:
    """The file; it is a valid configuration when the draft's values are."""
    upstream = "pypi" if draft.upstream.get("url") == "pypi" else "upstream"
    index = {"kind": "mirror", "upstream": upstream, "targets": list(draft.targets), **draft.index}
    parts = [_HEAD + "".join(f"# {line}\n" for line in draft.remarks)]
    parts.append(_table(("store",), "store", draft.store))
    parts.append(_table(("upstreams", upstream), "upstreams", draft.upstream))
    parts += [_table(("targets", name), "targets", table) for name, table in draft.targets.items()]
    parts.append(_table(("indexes", "main"), "mirror", index))
    parts.append(_open_table("packages", _RULES, draft.packages))
    parts.append(_open_table("patterns", _PATTERNS, draft.patterns))
    parts.append(_table(("indexes", "main", "dependencies"), "dependencies", draft.dependencies))
    parts.append(_table(("indexes", "main", "filters"), "filters", draft.filters))
    return "\n".join(parts)


def _table(names: tuple[str, ...], kind: str, given: dict[str, Any]) -> str:
    """A header, then for each key its description and the key, commented out where no value was given."""
    lines = [toml.header(*names)]
    for key in keys(TABLES[kind]):
        comment = textwrap.wrap(key.description, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        if key.name in given:
            lines += [*comment, toml.pair(key.name, given[key.name])]
        else:
            lines += [*comment, f"# {toml.pair(key.name, key.example)}"]
    return "\n".join(lines) + "\n"


def _open_table(name: str, comment: str, given: dict[str, list[str]]) -> str:
    lines = [toml.header("indexes", "main", name), comment]
    lines += [toml.pair(key, rules[0] if len(rules) == 1 else rules) for key, rules in given.items()]
    return "\n".join(lines) + "\n"
