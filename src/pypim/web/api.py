"""The API under /api/v1: one table of endpoints, from which both the routes and their description are made."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from pypim.core.index_state import IndexState
from pypim.web import api_accounts, api_indexes, upload_routes
from pypim.web.api_document import document_of
from pypim.web.api_endpoint import Endpoint, answer
from pypim.web.api_shapes import (
    Deleted,
    Indexes,
    Marked,
    NewToken,
    Project,
    Projects,
    ProjectsQuery,
    ReasonQuery,
    RevokedToken,
    TokenBody,
    Tokens,
    TokensQuery,
    Users,
    Why,
    WhyQuery,
    Yanked,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from pypim.web.api_endpoint import Asked, Call
    from pypim.web.context import Context

PREFIX = "/api/v1"
_ALWAYS = (400, 401, 403, 404, 405, 406, 429, 503)
_READING = (*_ALWAYS, 502, 504)
_CHANGING = (*_ALWAYS, 409, 413, 422, 507)
_INDEX = "/indexes/{index}"
_PROJECT = f"{_INDEX}/projects/{{project}}"


def routes(context: Context) -> list[BaseRoute]:
    """A route for each path of the table, whatever the method; none where the server tells nothing of its store."""
    if context.telling is None:
        return []
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints(context):
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [
        Route(PREFIX + path, _app(partial(_answer, found, context))) for path, found in by_path.items()
    ]
