"""What each table and key means: read from the types, for the schema, the template and the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, get_args, get_origin

import msgspec

from pypim.config.document import (
    AccessTable,
    DependenciesTable,
    GroupTable,
    HostedTable,
    MirrorTable,
    ProxyTable,
    PublisherTable,
    RightTable,
    ServerTable,
    StoreTable,
    UpstreamTable,
)
from pypim.core.policy import Filters
from pypim.core.target import TargetSpec


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
    "mirror": MirrorTable,
    "dependencies": DependenciesTable,
    "filters": Filters,
    "proxy": ProxyTable,
    "hosted": HostedTable,
    "group": GroupTable,
    "server": ServerTable,
    "access": AccessTable,
    "rights": RightTable,
    "publishers": PublisherTable,
}
"""The tables that have keys of their own; `packages`, `patterns` and `markers` are open."""

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "upstreams": ("url",),
    "group": ("members",),
    "rights": ("who", "may"),
    "publishers": ("issuer", "claims", "index", "projects"),
}
"""Keys that a table must have, by the name of the table."""

KIND_DESCRIPTION = 'What the index is: "mirror", "proxy", "hosted" or "group".'

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
    "max-rate": "10 MB",
    "file-hosts": ("https://mirror.example/",),
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
    "max-time": "6 hours",
    "max-bytes": "50 GB",
    "max-releases": 2000,
    "exclude-statuses": ("archived",),
    "exclude-classifiers": ("Private :: *",),
    "exclude-licenses": ("AGPL*",),
    "read": "authenticated",
    "max-size": "50 GB",
    "pinned": ("numpy", "torch>=2"),
    "reserve": ("acme-*",),
    "max-project-size": "10 GB",
    "platform-tags": ("any", "manylinux_*"),
    "members": ("private", "cache"),
    "merge": ("torch",),
    "unix-socket": "/run/pypim/pypim.sock",
    "default-index": "main",
    "root-path": "/pypi",
    "tls-certificate": "server.pem",
    "tls-key": "server.key",
    "accelerated": "/held",
    "audit-log": "audit.jsonl",
    "groups": {"packagers": ("ada", "grace")},
    "who": ("packagers",),
    "may": ("upload", "yank"),
    "issuer": "https://ci.example",
    "claims": {"repository": "acme/widgets"},
    "index": "private",
    "projects": ("acme-*",),
}


def keys(table: type[msgspec.Struct]) -> list[Key]:
    """The keys of a table in their order, tables inside it left out."""
    found = []
    tag_field, tag = table.__struct_config__.tag_field, table.__struct_config__.tag
    if tag_field is not None:
        found.append(Key(name=tag_field, description=KIND_DESCRIPTION, default=tag, example=tag))
    for field in msgspec.structs.fields(table):
        kind = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
        name = field.encode_name
        if name in {"packages", "patterns"} or _holds_tables(kind):
            continue
        default = None if field.default in (msgspec.NODEFAULT, "") else field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        example = default if name not in _EXAMPLES or (default not in (None, (), {})) else _EXAMPLES[name]
        found.append(
            Key(name=name, description=_description(table, name, field.type), default=default, example=example)
        )
    return found


def _holds_tables(kind: object) -> bool:
    """Whether a value of that type is a table with keys of its own, or several of them."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return True
    return get_origin(kind) in {dict, tuple} and any(_holds_tables(part) for part in get_args(kind))


def _description(table: type[msgspec.Struct], name: str, kind: object) -> str:
    if table is TargetSpec:
        return _TARGET_DESCRIPTIONS[name]
    metas = [part for part in get_args(kind)[1:] if isinstance(part, msgspec.Meta)]
    return next((meta.description for meta in reversed(metas) if meta.description), "")
