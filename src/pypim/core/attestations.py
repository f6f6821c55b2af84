"""Attestations that come with an upload (PEP 740): those that speak of this very file, as they came.

Their signatures are not verified here: that is left to whoever relies on them.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_ATTESTATIONS = 32


def attestations_about(text: str | None, filename: str, sha256: str) -> str | None:
    """Of a JSON list of attestation objects those whose statement has the file as its one subject; None without any.

    PEP 740: the subject's name is that of the file once both are parsed, its sha256 digest that of the bytes. Never
    raises: a client that sends what we cannot use is no reason to refuse a file.
    """
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    kept = [one for one in found[:_MOST_ATTESTATIONS] if isinstance(one, dict) and _is_about(one, filename, sha256)]
    return json.dumps(kept, separators=(",", ":")) if kept else None


def _is_about(attestation: Mapping[str, object], filename: str, sha256: str) -> bool:
    envelope = attestation.get("envelope")
    if attestation.get("version") != 1 or not isinstance(envelope, dict):
        return False
    try:
        statement = json.loads(base64.b64decode(str(envelope.get("statement")), validate=True))
        [subject] = statement["subject"]
        name, digest = str(subject["name"]), subject["digest"]["sha256"]
    except (binascii.Error, ValueError, LookupError, TypeError, RecursionError):
        return False
    return digest == sha256 and (name == filename or _parsed(name) == _parsed(filename))


def _parsed(filename: str) -> object:
    try:
        return parse_wheel_filename(filename) if filename.endswith(".whl") else parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return filename
