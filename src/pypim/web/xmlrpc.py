"""The three calls of PyPI's XML-RPC that mirrors live by; every other call gets a fault that says what to use."""

from __future__ import annotations

import xmlrpc.client
from typing import TYPE_CHECKING
from xml.parsers import expat

from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pypim.core.access import Action, Decision
from pypim.core.xml_rpc import (
    APPLICATION_ERROR,
    INVALID_PARAMETERS,
    MOST_CHANGES,
    PARSE_ERROR,
    changes_since,
    render_changes,
    render_fault,
    render_number,
    render_serials,
    serials_of,
)
from pypim.web.reading import admit_reader, index_of, whole_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from pypim.core.access import Visitor
    from pypim.core.xml_rpc import Row
    from pypim.ports import Served
    from pypim.web.context import Context

MOST_BYTES = 64 << 10
"""Of a call; those that are answered have a hundred."""
_TYPE = "text/xml; charset=utf-8"
_HIGHEST_SERIAL = 2**63 - 1
_PARAMETERS: dict[str, int] = {"changelog_last_serial": 0, "changelog_since_serial": 1, "list_packages_with_serial": 0}


def routes(context: Context) -> list[BaseRoute]:
    """For the default index and for each by its name."""

    async def call(request: Request) -> Response:
        served = index_of(request, context)
        reader = await admit_reader(request, context, served.name, None)
        body = await whole_body(request, "an XML-RPC call", MOST_BYTES)
        try:
            method, parameters = parse_call(body)
            pieces = await _answer(context, served, reader, method, parameters)
        except xmlrpc.client.Fault as fault:
            return Response(render_fault(fault.faultCode, fault.faultString), media_type=_TYPE)
        return StreamingResponse(_encoded(pieces), media_type=_TYPE)

    places = ("/pypi", "/pypi/", "/RPC2", "/{index}/pypi", "/{index}/pypi/", "/{index}/RPC2")
    return [Route(place, call, methods=["POST"]) for place in places]


def parse_call(body: bytes) -> tuple[str, tuple[object, ...]]:
    """The method and its parameters. A document with a type declaration is refused: only attacks have one."""
    try:
        _refuse_declarations(body)
        parameters, method = xmlrpc.client.loads(body)
    except (expat.ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise xmlrpc.client.Fault(PARSE_ERROR, f"ParseError: this is no XML-RPC call: {error}") from None
    if not isinstance(method, str):
        raise xmlrpc.client.Fault(PARSE_ERROR, "ParseError: the call names no method")
    return method, parameters


def _refuse_declarations(body: bytes) -> None:
    def refuse(*_: object) -> None:
        message = "a document type declaration is not allowed"
        raise ValueError(message)

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position only


async def _answer(
    context: Context, served: Served, reader: Visitor, method: str, parameters: tuple[object, ...]
) -> Iterator[str]:
    """The answer in pieces. Raises Fault, and what the index raises."""
    if method not in _PARAMETERS:
        sentence = f"RuntimeError: {method[:100]} is not offered here; use the Simple API or the JSON API instead"
        raise xmlrpc.client.Fault(APPLICATION_ERROR, sentence)
    if len(parameters) != _PARAMETERS[method]:
        raise xmlrpc.client.Fault(INVALID_PARAMETERS, f"TypeError: {method} takes {_PARAMETERS[method]} parameters")
    serial = parameters[0] if parameters else 0
    if not isinstance(serial, int) or isinstance(serial, bool):
        raise xmlrpc.client.Fault(INVALID_PARAMETERS, f"TypeError: the serial of {method} is a whole number")
    if method == "changelog_since_serial" and served.name in context.hosted:
        return render_changes(_own_changes(context, served.name, reader, serial))
    ready = context.lists.get(served.name)
    serials = serials_of(await served.project_list()) if ready is None else await ready.serials()
    if method == "changelog_last_serial":
        return render_number(serials.last)
    if method == "changelog_since_serial":
        return render_changes(changes_since(serials, serial))
    return render_serials(serials.each())


def _own_changes(context: Context, index: str, reader: Visitor, serial: int) -> list[Row]:
    """What was changed in a hosted index. Of projects that the reader may not read, only that something was."""
    changes = context.hosted[index].changes(index, min(max(serial, 0), _HIGHEST_SERIAL), MOST_CHANGES)
    decide = context.doorkeeper.rules.decide
    return [
        (one.name, one.version, int(one.changed_at), one.action, one.serial)
        if decide(reader, Action.READ, index, one.name) is Decision.ALLOWED
        else (one.name, None, int(one.changed_at), "change", one.serial)
        for one in changes
    ]


async def _encoded(pieces: Iterator[str]) -> AsyncIterator[bytes]:
    async for piece in iterate_in_threadpool(pieces):
        yield piece.encode()
