"""Which of the two forms of the Simple API is asked for, and which one came (PEP 691, content negotiation)."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from pypim.core import simple_html, simple_json
from pypim.core.errors import UpstreamMalformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import Page, ProjectList

ACCEPT_PAGE = "application/vnd.pypi.simple.v1+json,application/vnd.pypi.simple.v1+html;q=0.2,text/html;q=0.01"
"""The `Accept` header for pages: JSON before HTML, for only JSON has sizes and upload times."""


_WEIGHT = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z", re.ASCII)


class PageFormat(StrEnum):
    """The two serialisations of a page."""

    JSON = "json"
    HTML = "html"


_FORMAT_OF_TYPE = {
    "application/vnd.pypi.simple.v1+json": PageFormat.JSON,
    "application/vnd.pypi.simple.latest+json": PageFormat.JSON,  # No server may answer so; some do.
    "application/json": PageFormat.JSON,  # A static web server that knows no better.
    "application/vnd.pypi.simple.v1+html": PageFormat.HTML,
    "application/vnd.pypi.simple.latest+html": PageFormat.HTML,
    "application/xhtml+xml": PageFormat.HTML,
    "text/html": PageFormat.HTML,
    "": PageFormat.HTML,  # PEP 503 is older than any talk of types.
}


def page_format(content_type: str, url: str) -> PageFormat:
    """The format of an answer by its Content-Type, parameters aside; raises UpstreamMalformed for any other type."""
    media_type = content_type.partition(";")[0].strip().lower()
    found = _FORMAT_OF_TYPE.get(media_type)
    if found is None:
        raise UpstreamMalformed(
            url,
            f"the answer is of the type {media_type[:80]!r}, which is no Simple API that pypim reads",
            hint="Check that the URL is that of a Simple API; it usually ends in /simple/.",
        )
    return found


def parse_any_page(body: bytes, content_type: str, url: str, name: NormalizedName) -> Page:
    """Read a project page in the format its Content-Type says; raises UpstreamMalformed."""
    if page_format(content_type, url) is PageFormat.JSON:
        return simple_json.parse_page(body, url, name)
    return simple_html.parse_page(body, url, name)


def parse_any_project_list(body: bytes, content_type: str, url: str) -> ProjectList:
    """Read a project list in the format its Content-Type says; raises UpstreamMalformed."""
    if page_format(content_type, url) is PageFormat.JSON:
        return simple_json.parse_project_list(body, url)
    return simple_html.parse_project_list(body, url)


# --- what a server answers --------------------------------------------------------------------------------------------
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"
PLAIN_HTML_TYPE = "text/html"
_ANSWERED: dict[str, str] = {
    JSON_TYPE: JSON_TYPE,
    "application/vnd.pypi.simple.latest+json": JSON_TYPE,
    HTML_TYPE: HTML_TYPE,
    "application/vnd.pypi.simple.latest+html": HTML_TYPE,
    PLAIN_HTML_TYPE: PLAIN_HTML_TYPE,
}
"""What may be asked for → the type of the answer, which never says "latest" (PEP 691)."""
_TYPES = (JSON_TYPE, HTML_TYPE, PLAIN_HTML_TYPE)
"""Of those that are named and wanted equally, the most expressive counts (PEP 691); behind a wildcard the plainest."""


@lru_cache(maxsize=512)
def answered_type(accept: str | None, asked: str | None = None) -> str | None:
    """The media type of a page for an Accept header and a `?format=`, which counts first; None: nothing will do (406).

    Who accepts anything gets text/html, as from PyPI. What names no type of the Simple API at all gets it, too, for
    old scripts ask so; only who names such a type that there is none of, or refuses HTML, is told so.
    """
    if asked in _ANSWERED:
        return _ANSWERED[asked]
    if accept is None or not accept.strip():
        return PLAIN_HTML_TYPE
    weights = _weights(accept)
    named: dict[str, float] = {}
    for media_type, weight in weights.items():
        if media_type in _ANSWERED:
            answer = _ANSWERED[media_type]
            named[answer] = max(named.get(answer, 0.0), weight)
    others = {one: _wildcard_weight(one, weights) for one in _TYPES if one not in named}
    best = max((*named.values(), *others.values()), default=0.0)
    if best > 0:
        wanted = [one for one in _TYPES if named.get(one) == best]
        return wanted[0] if wanted else next(one for one in reversed(_TYPES) if others.get(one) == best)
    is_refused = named.get(PLAIN_HTML_TYPE) == 0.0 or any("vnd.pypi.simple" in one for one in weights)
    return None if is_refused else PLAIN_HTML_TYPE


def _wildcard_weight(media_type: str, weights: Mapping[str, float]) -> float:
    """The weight of the most specific wildcard that means a type; 0 where none does."""
    return weights.get(f"{media_type.partition('/')[0]}/*", weights.get("*/*", 0.0))


def _weights(accept: str) -> dict[str, float]:
    """Media type → its weight (RFC 9110, 12.4.2); a weight that cannot be read is 0."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
        if media_type:
            weights[media_type] = max(weights.get(media_type, 0.0), weight)
    return weights
