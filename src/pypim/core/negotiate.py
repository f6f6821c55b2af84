"""Which of the two forms of the Simple API is asked for and which one came (PEP 691, content negotiation)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pypim.core import simple_html, simple_json
from pypim.core.errors import UpstreamMalformed

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.model import Page, ProjectList

ACCEPT_PAGE = "application/vnd.pypi.simple.v1+json,application/vnd.pypi.simple.v1+html;q=0.2,text/html;q=0.01"
"""The `Accept` header for pages: JSON before HTML, for only JSON has sizes and upload times."""


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
