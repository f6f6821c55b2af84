"""The API under /api/v1: one table of endpoints, from which both the routes and their description are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pypim.core.index_state import IndexState
from pypim.web import api_accounts, api_indexes, upload_routes
from pypim.web.api_document import Description, document_of
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
    StatusBody,
    TokenBody,
    Tokens,
    TokensQuery,
    Users,
    Why,
    WhyQuery,
    YankBody,
    Yanked,
)

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from pypim.web.answers import Receive, Scope, Send
    from pypim.web.api_endpoint import Asked, Call
    from pypim.web.context import Context

PREFIX = "/api/v1"
_ALWAYS = (400, 401, 403, 404, 405, 406, 429, 503)
_READING = (*_ALWAYS, 502, 504)
_CHANGING = (*_ALWAYS, 408, 409, 413, 422, 507)
_INDEX = "/indexes/{index}"
_PROJECT = f"{_INDEX}/projects/{{project}}"


def routes(context: Context) -> list[BaseRoute]:
    """A route for each path of the table, whatever the method; none where the server tells nothing of its store."""
    if context.telling is None:
        return []
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints(context):
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [Route(PREFIX + path, _Path(found, context)) for path, found in by_path.items()]


class _Path:
    """The endpoints at one path, by method."""

    def __init__(self, endpoints: dict[str, Endpoint], context: Context) -> None:
        self._endpoints = endpoints
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await answer(self._endpoints, Request(scope, receive), self._context)
        await response(scope, receive, send)


def endpoints(context: Context) -> list[Endpoint]:
    """The table."""
    found = [*_reading(), *_changing(context), *_administration()]
    description = Endpoint(
        method="GET",
        path="/openapi.json",
        summary="This description (OpenAPI 3.1).",
        answer=Description,
        faults=(405, 406, 503),
        call=lambda _: _said(document),
    )
    found.append(description)
    document = document_of(found, f"{context.root_path}{PREFIX}")
    return found


async def _said(document: bytes) -> Response:
    return Response(document, media_type="application/json", headers={"cache-control": "no-cache"})


def _reading() -> list[Endpoint]:
    return [
        Endpoint(
            method="GET",
            path="/indexes",
            summary="The indexes that you may read.",
            answer=Indexes,
            faults=_ALWAYS,
            call=api_indexes.list_indexes,
        ),
        Endpoint(
            method="GET",
            path=_INDEX,
            summary="What an index holds, and when it last changed.",
            answer=IndexState,
            faults=_ALWAYS,
            call=api_indexes.index_state,
        ),
        Endpoint(
            method="GET",
            path=f"{_INDEX}/projects",
            summary="The projects of which an index holds something, page by page.",
            answer=Projects,
            query=ProjectsQuery,
            faults=_READING,
            call=api_indexes.list_projects,
        ),
        Endpoint(
            method="GET",
            path=_PROJECT,
            summary="A project with its files.",
            answer=Project,
            faults=_READING,
            call=api_indexes.one_project,
        ),
        Endpoint(
            method="GET",
            path=f"{_INDEX}/why/{{project}}",
            summary="Why a mirror keeps a project; of a group, which member answers for it.",
            answer=Why,
            query=WhyQuery,
            faults=_READING,
            call=api_indexes.why,
        ),
    ]


def _changing(context: Context) -> list[Endpoint]:
    """What comes after uploads; the functions are those of the routes there, which read their bodies themselves."""
    theirs = {
        (route.path.removeprefix(PREFIX), method): route
        for route in upload_routes.routes(context)
        if isinstance(route, Route)
        for method in route.methods or ()
    }

    def changing(method: str, path: str, summary: str, **more: object) -> Endpoint:
        route = theirs[path, method]

        async def call(asked: Asked) -> object:
            return await route.endpoint(asked.request)

        made: Call = call
        return Endpoint(
            method=method,
            path=path,
            summary=summary,
            call=made,
            faults=_CHANGING,
            is_body_read=False,
            needs_credentials=True,
            **more,  # type: ignore[arg-type]  # the rest of its fields
        )

    yank = f"{_PROJECT}/{{version}}/yank"
    return [
        changing("POST", yank, "Yank a release (PEP 592).", answer=Yanked, body=YankBody),
        changing("DELETE", yank, "Take back that a release is yanked.", answer=Yanked, query=ReasonQuery),
        changing(
            "DELETE",
            f"{_PROJECT}/files/{{filename}}",
            "Delete a file; nothing else ever gets its name.",
            answer=Deleted,
            query=ReasonQuery,
        ),
        changing(
            "PUT",
            f"{_PROJECT}/status",
            "Set the status of a project (PEP 792).",
            answer=Marked,
            body=StatusBody,
        ),
    ]


def _administration() -> list[Endpoint]:
    return [
        Endpoint(
            method="GET",
            path="/tokens",
            summary="The tokens, without their secrets.",
            answer=Tokens,
            query=TokensQuery,
            faults=_ALWAYS,
            call=api_accounts.list_tokens,
            needs_credentials=True,
        ),
        Endpoint(
            method="POST",
            path="/tokens",
            summary="Make a token; its text is shown this once.",
            answer=NewToken,
            status=201,
            body=TokenBody,
            faults=_CHANGING,
            call=api_accounts.create_token,
            next=("delete_tokens_id", {"id": "$response.body#/kept/id"}),
            needs_credentials=True,
        ),
        Endpoint(
            method="DELETE",
            path="/tokens/{id}",
            summary="Make a token useless, at once and for good.",
            answer=RevokedToken,
            faults=_CHANGING,
            call=api_accounts.revoke_token,
            needs_credentials=True,
        ),
        Endpoint(
            method="GET",
            path="/users",
            summary="The users, with their groups.",
            answer=Users,
            faults=_ALWAYS,
            call=api_accounts.list_users,
            needs_credentials=True,
        ),
    ]
