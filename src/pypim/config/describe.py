"""What each table and key means: read from the types, for the schema, the template and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args, get_origin

import msgspec

from pypim.config.document import DependenciesTable, IndexTable, StoreTable, UpstreamTable
from pypim.core.policy import Filters
from pypim.core.target import TargetSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a table."""

    name: str
    description: str
    default: object
    """None where there is no value unless one is given."""
    example: object
    """A value that can stand there."""


TABLES: dict[str, type[msgspec.Struct]] = {
    "store": StoreTable,
    "upstreams": UpstreamTable,
    "targets": TargetSpec,
    "indexes": IndexTable,
    "dependencies": DependenciesTable,
    "filters": Filters,
}
"""The tables that have keys of their own; `packages`, `patterns` and `markers` are open."""

_TARGET_DESCRIPTIONS = {
    "python": 'Python versions: "3.12" means every 3.12.x, "3.12.4" one of them, "3.13t" the free-threaded build.',
    "platforms": "Wheel platform tags, names of uv's --python-platform, or linux, windows, macos.",
    "implementations": 'Implementations: "cpython", "pypy".',
    "markers": "Marker variables by hand; one that is left out means any value, an empty list means none.",
}
_EXAMPLES: Mapping[str, object] = {
    "files": "data",
    "username": "me",
    "password": "env:INDEX_PASSWORD",
    "token": "file:token.txt",
    "ca": "authorities.pem",
    "client-certificate": "client.pem",
    "client-key": "client.key",
    "proxy": "http://proxy.example:3128",
    "headers": {"X-Team": "build"},
    "contact": "ops@mirror.example",
    "requests-per-second": 20,
    "upstream": "pypi",
    "publish": "public",
    "python": ("3.12", "3.13"),
    "platforms": ("linux", "windows"),
    "markers": {"sys_platform": ("linux",)},
    "targets": ("servers",),
    "requirements": ("requirements.txt",),
    "exclude": ("tensorflow*", "torch>=3"),
    "allow": ("django", "zope-*"),
    "formats": ("wheel", "sdist"),
    "extensions": ("whl", "tar.gz"),
    "python-tags": ("py3", "cp312"),
    "exclude-tags": ("musllinux_*",),
    "keep-latest": 5,
    "max-file-size": "1 GB",
    "min-age": "3 days",
}


def keys(table: type[msgspec.Struct]) -> list[Key]:
    """The keys of a table in their order, tables inside it left out."""
    found = []
    for field in msgspec.structs.fields(table):
        kind = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
        name = field.encode_name
        is_inner = (isinstance(kind, type) and issubclass(kind, msgspec.Struct)) or name in {"packages", "patterns"}
        if is_inner:
            continue
        default = None if field.default in (msgspec.NODEFAULT, "") else field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        example = default if name not in _EXAMPLES or (default not in (None, (), {})) else _EXAMPLES[name]
        found.append(
            Key(name=name, description=_description(table, name, field.type), default=default, example=example)
        )
    return found


def _description(table: type[msgspec.Struct], name: str, kind: object) -> str:
    if table is TargetSpec:
        return _TARGET_DESCRIPTIONS[name]
    metas = [part for part in get_args(kind)[1:] if isinstance(part, msgspec.Meta)]
    return next((meta.description for meta in reversed(metas) if meta.description), "")
