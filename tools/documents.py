"""The document that each command prints with --json, as types that the reference shows and a test checks."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from packaging.utils import NormalizedName

from pypim.cli.doctor import Check
from pypim.cli.followed import FollowedStatus, ToDoStatus
from pypim.cli.inspect import IndexStatus
from pypim.cli.inventory import ListedFile, ListedRelease
from pypim.cli.known import KnownStatus
from pypim.cli.metadata import GatheredDocument, MetadataDocument
from pypim.cli.update import UpdateDocument
from pypim.core.account_rows import TokenRow, UserRow
from pypim.core.adoption import AdoptReport, Unmatched
from pypim.core.chains import Chain, IndexKept, Kept, Link
from pypim.core.explain import FileVerdict
from pypim.core.faults import ConfigFault
from pypim.core.graph import Graph, GraphEdge, GraphFile, GraphNode, GraphRoot
from pypim.core.model import DistFile
from pypim.core.names import SafeFilename
from pypim.core.plan import Plan, PlannedFile, PlannedRelease
from pypim.core.rebuilt import Rebuilt, RebuiltIndex, RebuiltTable
from pypim.core.required import KnownRequirement
from pypim.core.selection import Problem, Reason
from pypim.index.file_hosts import FileHostReport
from pypim.index.group_said import GroupSaid, MemberSaid
from pypim.sync.completeness import Completeness, Missing
from pypim.sync.model import Report
from pypim.sync.opinions import Proof
from pypim.sync.prove import ProveReport
from pypim.sync.reading import Damage
from pypim.sync.remove import PruneReport
from pypim.sync.unchosen import Conflict
from pypim.sync.verify import VerifyReport
from pypim.sync.why_not import Objections
from tools.wording import Notation, fields_of, type_words

if TYPE_CHECKING:
    from collections.abc import Iterator


class IndexVerifyReport(msgspec.Struct):
    """What `verify` found in one index."""

    index: str
    report: VerifyReport


class ErrorDocument(msgspec.Struct):
    """What went wrong; see [errors](errors.md)."""

    code: str
    """Stable, in kebab-case."""
    message: str
    """One sentence that names the place; one line for each fault of a configuration."""
    hint: str
    """What to do next; empty where nobody knows."""
    exit_status: int
    faults: tuple[ConfigFault, ...]
    """Each of them, where a configuration or a file that it names has some; empty for every other error."""


SYNC = {"command": str, "indexes": tuple[Report, ...], "free_bytes": int | None, "lacking_bytes": int}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "sync": SYNC,
    "plan": SYNC,
    "plan --graph FILE.json": {"indexes": tuple[Graph, ...]},
    "update": {"command": str, "indexes": tuple[UpdateDocument, ...]},
    "metadata": {"command": str, "indexes": tuple[MetadataDocument, ...], "upstreams": tuple[GatheredDocument, ...]},
    "list": {
        "command": str,
        "releases": tuple[ListedRelease, ...],
        "requirements": tuple[KnownRequirement, ...],
    },
    "status": {
        "command": str,
        "indexes": tuple[IndexStatus, ...],
        "free_bytes": int | None,
        "oldest_reading": str | None,
    },
    "status --completeness": {
        "command": str,
        "indexes": tuple[IndexStatus, ...],
        "free_bytes": int | None,
        "oldest_reading": str | None,
        "completeness": tuple[Completeness, ...],
    },
    "why": {"command": str, "kept": tuple[IndexKept, ...], "groups": tuple[GroupSaid, ...]},
    "why-not": {"command": str, "indexes": tuple[Objections, ...]},
    "prove": {"command": str, "indexes": tuple[ProveReport, ...]},
    "verify": {"command": str, "indexes": tuple[IndexVerifyReport, ...]},
    "prune": {"command": str, "report": PruneReport},
    "adopt": {"command": str, "report": AdoptReport},
    "user add": {"command": str, "name": str},
    "user password": {"command": str, "name": str},
    "user list": {"command": str, "users": tuple[UserRow, ...]},
    "user remove": {"command": str, "name": str, "tokens": int},
    "token create": {"command": str, "token": str, "kept": TokenRow},
    "token list": {"command": str, "tokens": tuple[TokenRow, ...]},
    "token revoke": {"command": str, "id": str},
    "init": {"path": str, "converted_from": str | None, "not_carried_over": tuple[str, ...]},
    "config check": {"source": str, "is_valid": bool, "indexes": tuple[str, ...]},
    "doctor": {"command": str, "checks": tuple[Check, ...]},
    "doctor --rebuild": {"command": str, "rebuilt": Rebuilt},
    "completion": {"shell": str, "script": str},
    "an error": {"error": ErrorDocument},
}
"""Command → its top-level keys and their types."""

STRUCTS: dict[str, type[msgspec.Struct]] = {
    kind.__name__: kind
    for kind in (
        AdoptReport,
        Chain,
        Check,
        ConfigFault,
        Conflict,
        Damage,
        DistFile,
        ErrorDocument,
        FileHostReport,
        FileVerdict,
        FollowedStatus,
        Graph,
        GraphEdge,
        GraphFile,
        GraphNode,
        GraphRoot,
        GatheredDocument,
        GroupSaid,
        IndexKept,
        Completeness,
        Missing,
        IndexStatus,
        IndexVerifyReport,
        Kept,
        KnownRequirement,
        KnownStatus,
        Link,
        ListedFile,
        ListedRelease,
        MemberSaid,
        MetadataDocument,
        Objections,
        Plan,
        PlannedFile,
        PlannedRelease,
        Problem,
        Proof,
        ProveReport,
        Rebuilt,
        RebuiltIndex,
        RebuiltTable,
        PruneReport,
        Reason,
        Report,
        ToDoStatus,
        TokenRow,
        Unmatched,
        UpdateDocument,
        UserRow,
        VerifyReport,
    )
}
NAMES: dict[str, Any] = {**STRUCTS, "NormalizedName": NormalizedName, "SafeFilename": SafeFilename}
"""What the modules of the Structs import for their types only."""


def json_page() -> Iterator[str]:
    """Every document, then every object in them."""
    yield from (
        "# JSON documents",
        "",
        "With `--json` a command prints one JSON document on standard output, and nothing else there. Sizes are in",
        "bytes, times in seconds where nothing else is said. `null` means that nobody said, never that there is none.",
        "Keys may be added in later versions; none is renamed or taken away without a note in the changelog.",
        "",
        "`pypim config show --json` prints the configuration in the shape of [`pypim.toml`](configuration.md), with",
        "`source`, its path, in addition. `pypim config schema` prints a JSON Schema, with or without `--json`.",
        "",
    )
    for command, members in DOCUMENTS.items():
        heading = command if command == "an error" else f"pypim {command}"
        yield from ("", f"## {heading}", "", "| key | type |", "| --- | --- |")
        for name, kind in members.items():
            yield f"| `{name}` | {type_words(kind, Notation.JSON)} |"
    yield from ("", "# Objects")
    for name in sorted(STRUCTS):
        struct = STRUCTS[name]
        yield from ("", f"## {name}", "", (inspect.getdoc(struct) or "").split("\n\n")[0], "")
        yield from ("| key | type | meaning |", "| --- | --- | --- |")
        for field in fields_of(struct, NAMES):
            words = type_words(field.kind, Notation.JSON)
            absent = ", or absent" if field.is_optional else ""
            yield f"| `{field.name}` | {words}{absent} | {_in_json(field.description)} |"


_JSON_WORDS = {"None": "null", "True": "true", "False": "false", "<": "\\<", "|": "\\|"}


def _in_json(text: str) -> str:
    """A sentence about a Python value, about its JSON instead; ready for a table."""
    return re.sub(r"\b(?:None|True|False)\b|[<|]", lambda found: _JSON_WORDS[found[0]], text)


def structs_in(kind: Any) -> set[type[msgspec.Struct]]:  # noqa: ANN401 - a type may be any object
    """Every Struct that a type reaches."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        inner = [structs_in(field.kind) for field in fields_of(kind, NAMES)]
        return {kind}.union(*inner)
    found: set[type[msgspec.Struct]] = set()
    return found.union(*(structs_in(part) for part in get_args(kind)))
