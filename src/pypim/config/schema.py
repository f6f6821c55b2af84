"""The JSON Schema of the configuration, made from its types, for editors that check while one writes."""

from __future__ import annotations

from typing import Any

import msgspec

from pypim.config.describe import TABLES, keys
from pypim.config.document import Document


def schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of `pypim.toml`."""
    made = msgspec.json.schema(Document)
    definitions = made["$defs"]
    for table in TABLES.values():
        definition = definitions[table.__name__]
        for key in keys(table):
            if key.description:
                definition["properties"][key.name].setdefault("description", key.description)
    definitions["UpstreamTable"]["required"] = ["url"]
    definitions["UpstreamTable"]["properties"]["url"].pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pypim.toml", **made}
