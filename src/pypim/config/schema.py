"""The JSON Schema of the configuration, made from its types, for editors that check while one writes."""

from __future__ import annotations

from typing import Any

import msgspec

from pypim.config.describe import REQUIRED, TABLES, keys
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
    definitions["MirrorTable"].pop("required")  # it is what is meant where no kind is written
    definitions["Document"]["properties"]["indexes"]["additionalProperties"].pop("discriminator")
    for name, required in REQUIRED.items():
        definition = definitions[TABLES[name].__name__]
        definition["required"] = [*definition.get("required", ()), *required]
        for needed in required:
            definition["properties"][needed].pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pypim.toml", **made}
