"""What handlers that read have in common: which index a path is about, whether the sender may, a ready answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from pypim.core.access import Action
from pypim.core.errors import InvalidName, NotFound
from pypim.core.names import parse_name
from pypim.core.ranges import matches_etag
from pypim.core.request_errors import RequestTooLong
from pypim.web.answers import CORS, headers_of
from pypim.web.forwarded import base_url, peer_of

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from starlette.requests import Request

    from pypim.core.access import Visitor
    from pypim.ports import Served
    from pypim.web.answers import Headers, Represented
    from pypim.web.context import Context

IN_INDEX = "/packages/in/"
"""/packages/in/NAME/… is /NAME/…: some mirrors take files only from addresses whose path begins with /packages."""


def index_of(request: Request, context: Context) -> Served:
    """The index that the path names, or the default one. Raises NotFound."""
    name = request.path_params.get("index", context.default)
    found = context.indexes.get(name)
    if found is None:
        raise NotFound(
            f"there is no index named {name!r}" if name else "there is no default index",
            hint="The paths of an index begin with its name; see [indexes] and server.default-index.",
        )
    return found


def project_of_path(request: Request) -> NormalizedName:
    """The normalised name that the path has; what is no name is no project either. Raises NotFound."""
    try:
        return parse_name(request.path_params["project"])
    except InvalidName as error:
        raise NotFound(error.message, hint=error.hint) from None


async def admit_reader(request: Request, context: Context, index: str, project: NormalizedName | None) -> Visitor:
    """Who reads. Raises CredentialsNeeded, NotPermitted or TooManyAttempts where the sender may not read this."""
    peer = peer_of(request.scope, context.trusted_proxies)
    return await context.doorkeeper.admit(headers_of(request.scope), peer, Action.READ, index, project)


async def whole_body(request: Request, what: str, limit_bytes: int) -> bytes:
    """The body of a small request; `what` it is, for the message. Raises RequestTooLong."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise RequestTooLong(what, limit_bytes)
    return bytes(body)


def address_of(request: Request, context: Context) -> str:
    """Where the client has reached the index: absolute, with a slash at the end."""
    named = request.path_params.get("index")
    return f"{base_url(request.scope, context)}/{named}/" if named else f"{base_url(request.scope, context)}/"


def ready(request: Request, represented: Represented) -> Response:
    """A representation as an answer, or that it has not changed (304)."""
    body = represented.body(request.headers.get("accept-encoding", ""))
    if matches_etag(request.headers.get("if-none-match"), body.etag):
        return raw_response(304, body.unchanged, b"")
    return raw_response(200, body.headers, b"" if request.method == "HEAD" else body.content)


def redirect(context: Context, target: str, *, status: int, is_ours: bool = True) -> Response:
    """To another path of this server, as the client sees it; or to an address of somebody else."""
    headers: Headers = [
        (b"location", (context.root_path + target if is_ours else target).encode()),
        (b"cache-control", b"max-age=86400" if status == 301 else b"no-cache"),  # noqa: PLR2004 - moved for good
        (b"content-length", b"0"),
        *CORS,
    ]
    return raw_response(status, headers, b"")


def raw_response(status: int, headers: Headers, content: bytes) -> Response:
    """An answer with these headers and no other."""
    response = Response(content, status)
    response.raw_headers = headers
    return response
