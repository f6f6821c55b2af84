"""Provenance objects (PEP 740): who published a file, and the attestations that came with it."""

from __future__ import annotations

import msgspec

PROVENANCE_TYPE = "application/vnd.pypi.integrity.v1+json"
_JSON_TYPES = frozenset({PROVENANCE_TYPE, "application/json", "application/*", "*/*"})


def provenance_of(attestations: str) -> bytes:
    """The object for attestations as an upload brought them, a JSON list.

    They are handed on and not verified; so the kind of their publisher is "unknown", and whoever relies on them
    verifies them, as PEP 740 wants it of everybody. Raises ValueError where the text is no JSON list.
    """
    listed = msgspec.json.decode(attestations, type=list[msgspec.Raw])
    bundle = {"publisher": {"kind": "unknown", "claims": None}, "attestations": listed}
    return msgspec.json.encode({"version": 1, "attestation_bundles": [bundle]})


def accepted_type(accept: str | None) -> str | None:
    """The media type for an Accept header: the object's own where the client takes it; None where it takes none."""
    taken = set()
    for part in (accept or "*/*").split(","):
        kind, _, parameters = part.partition(";")
        if parameters.replace(" ", "").partition("q=")[2].rstrip("0.") or "q=" not in parameters:
            taken.add(kind.strip().lower())
    if not taken & _JSON_TYPES:
        return None
    return "application/json" if taken & _JSON_TYPES == {"application/json"} else PROVENANCE_TYPE
