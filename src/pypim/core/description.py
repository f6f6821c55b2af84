"""What a project says of itself: the `info` of its document of the JSON API.

It is made from the first uploaded file of one release, so nothing is ever resolved from it.
Source: the JSON API of the warehouse (`/pypi/<project>/json`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pypim.core.entries import optional_text
from pypim.core.errors import UpstreamMalformed

_MOST_CLASSIFIERS = 1000
_MOST_REQUIREMENTS = 20_000


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A project in its own words. A field is None where it says nothing."""

    version: str | None = None
    """The release that it speaks of."""
    summary: str | None = None
    author: str | None = None
    author_email: str | None = None
    maintainer: str | None = None
    maintainer_email: str | None = None
    license: str | None = None
    license_expression: str | None = None
    """SPDX (PEP 639)."""
    keywords: str | None = None
    home_page: str | None = None
    requires_python: str | None = None
    project_urls: dict[str, str] = {}
    """Label → URL."""
    classifiers: tuple[str, ...] = ()
    requires_dist: tuple[str, ...] = ()
    """As written; true of the first file of the release only."""


class _Document(msgspec.Struct):
    info: dict[str, Any]


_document = msgspec.json.Decoder(_Document)
TEXT_FIELDS = (
    "version",
    "summary",
    "author",
    "author_email",
    "maintainer",
    "maintainer_email",
    "license",
    "license_expression",
    "keywords",
    "home_page",
    "requires_python",
)
"""The fields of a description that are a plain text, in the order in which catalogs have them, too."""


def read_description(body: bytes, url: str) -> Description:
    """Read a project's document; what has another type than it should was not said. Raises UpstreamMalformed."""
    try:
        info = _document.decode(body).info
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamMalformed(url, f"not a document of the JSON API: {error}") from error
    texts = {field: text for field in TEXT_FIELDS if (text := optional_text(info.get(field))) is not None}
    return Description(
        **texts,
        project_urls=_addresses(info.get("project_urls")),
        classifiers=_list(info.get("classifiers"), _MOST_CLASSIFIERS),
        requires_dist=_list(info.get("requires_dist"), _MOST_REQUIREMENTS),
    )


def _addresses(told: object) -> dict[str, str]:
    if not isinstance(told, dict):
        return {}
    pairs = ((optional_text(label), optional_text(address)) for label, address in told.items())
    return {label: address for label, address in pairs if label is not None and address is not None}


def _list(told: object, most: int) -> tuple[str, ...]:
    """The texts of a list, each once and in its order."""
    if not isinstance(told, list):
        return ()
    texts = (optional_text(entry) for entry in told[:most])
    return tuple(dict.fromkeys(text for text in texts if text is not None))
