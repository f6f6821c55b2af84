"""One endpoint of the API: what it takes and answers, and how a request becomes a call of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from pypim.core.errors import PypimError
from pypim.core.request_errors import InvalidRequest, MethodNotAllowed, NotAcceptable
from pypim.web.errors import fault_of, rendered_fault
from pypim.web.reading import whole_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from pypim.web.context import Context

_MOST_BODY_BYTES = 64 << 10
_JSON = "application/json"
_TAKING_JSON = ("application/json", "application/*", "*/*")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request to an endpoint."""

    request: Request
    context: Context
    query: Any
    """A value of the endpoint's `query`."""
    body: Any
    """A value of the endpoint's `body`."""


Call = Callable[[Asked], Awaitable[object]]
"""Answers with a value of the endpoint's `answer`, or with a whole Response."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table: a route and a part of the description."""

    method: str
    path: str
    """Below /api/v1."""
    summary: str
    answer: Any
    """The type of what is answered."""
    faults: tuple[int, ...]
    """The statuses that can come instead."""
    call: Call
    status: int = 200
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    is_body_read: bool = True
    """False where the call reads the body itself."""
    next: tuple[str, dict[str, str]] | None = None
    """The operation that can follow, and where in the answer its parameters are (OpenAPI's runtime expressions)."""
    needs_credentials: bool = False
    """Whether nobody can do it without."""


async def answer(endpoints: dict[str, Endpoint], request: Request, context: Context) -> Response:
    """Answer a request to a path; `endpoints` are those at that path, by method. Errors are JSON, too."""
    try:
        found = await _answer(endpoints, request, context)
    except PypimError as error:
        fault = fault_of(error)
        content, _ = rendered_fault(fault, _JSON)
        found = Response(content, fault.status, media_type=_JSON)
        found.raw_headers += fault.headers
    found.headers.setdefault("cache-control", "no-store")
    return found


async def _answer(endpoints: dict[str, Endpoint], request: Request, context: Context) -> Response:
    method = "GET" if request.method == "HEAD" else request.method
    endpoint = endpoints.get(method)
    if endpoint is None:
        allowed = {*endpoints, "OPTIONS", *(["HEAD"] if "GET" in endpoints else [])}
        if method == "OPTIONS":
            return Response(status_code=204, headers={"allow": ", ".join(sorted(allowed))})
        raise MethodNotAllowed(request.method, ", ".join(sorted(allowed)))
    _check_accept(request.headers.get("accept", "*/*"))
    query = None if endpoint.query is None else _query(request, endpoint.query)
    body = None
    if endpoint.body is not None and endpoint.is_body_read:
        body = await _body(request, endpoint.body)
    made = await endpoint.call(Asked(request=request, context=context, query=query, body=body))
    if isinstance(made, Response):
        return made
    return Response(msgspec.json.encode(made), endpoint.status, media_type=_JSON)


def _check_accept(accept: str) -> None:
    for part in accept.split(","):
        kind, _, weight = part.partition(";")
        if kind.strip().lower() in _TAKING_JSON and weight.replace(" ", "") not in {"q=0", "q=0.0"}:
            return
    raise NotAcceptable(accept, _JSON)


def _query(request: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            raise InvalidRequest("the query", f"{name[:100]!a} stands there twice")
        found[name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest("the query", str(error)) from None


async def _body(request: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.json.decode(await whole_body(request, "the body", _MOST_BODY_BYTES), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest("the body", str(error)) from None
    except ClientDisconnect:
        raise InvalidRequest("the body", "the client broke off") from None
