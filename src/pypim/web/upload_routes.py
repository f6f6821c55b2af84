"""The paths on which hosted indexes are changed: the upload API of distutils, and ours for what comes after it."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pypim.core import simple_html
from pypim.core.access import Action
from pypim.core.errors import InvalidName, PypimError
from pypim.core.model import ProjectStatus
from pypim.core.names import parse_name
from pypim.core.request_errors import RequestTimeout
from pypim.core.served import findable_page, served_page
from pypim.core.upload_errors import InvalidChange, InvalidUpload, NotHosted, UploadTooLarge
from pypim.web.answers import headers_of
from pypim.web.forwarded import base_url, peer_of
from pypim.web.reading import admit_reader, index_of, project_of_path
from pypim.web.upload import Sender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from packaging.utils import NormalizedName
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from pypim.web.context import Context
    from pypim.web.upload import Uploads

_MOST_BODY_BYTES = 64 << 10
_MOST_REASON_CHARS = 1000
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_MOST_DRAINED_BYTES = 1 << 30
_MOST_DRAINED_OF_STRANGERS = 64 << 20
_STRANGER_SECONDS = 10.0
"""So much, and for so long, is read of somebody who was not admitted, so that they see the answer."""

_Body = TypeVar("_Body")


class YankBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why a release is yanked (PEP 592); may be left out."""

    reason: str = ""


class StatusBody(msgspec.Struct, forbid_unknown_fields=True):
    """The status that a project is to have (PEP 792), and why."""

    status: ProjectStatus
    reason: str = ""


def routes(context: Context) -> list[BaseRoute]:
    """For the default index and for each by its name."""
    found: list[BaseRoute] = []
    for place in ("/legacy", "/{index}/legacy"):
        found += [
            Route(f"{place}/", partial(_upload, context=context), methods=["POST"]),
            Route(place, partial(_to_slash, context=context), methods=["POST", "GET"]),
            Route(f"{place}/+simple/{{project}}/", partial(_listed, context=context), methods=["GET"]),
            Route(f"{place}/+simple/{{project}}", partial(_listed, context=context), methods=["GET"]),
        ]
    project = "/api/v1/indexes/{index}/projects/{project}"
    return [
        *found,
        Route(f"{project}/{{version}}/yank", partial(_yank, context=context), methods=["POST"]),
        Route(f"{project}/{{version}}/yank", partial(_unyank, context=context), methods=["DELETE"]),
        Route(f"{project}/files/{{filename}}", partial(_delete, context=context), methods=["DELETE"]),
        Route(f"{project}/status", partial(_mark, context=context), methods=["PUT"]),
    ]


async def _upload(request: Request, context: Context) -> Response:
    """The upload API. Whoever is turned away is told so once the request has been read."""
    async with drained(request):
        uploads = await uploads_of(request, context, Action.UPLOAD)
        sender = await admit_sender(request, context, uploads, Action.UPLOAD, None)
        async with told(uploads, sender, Action.UPLOAD):
            check_length(request, uploads)
        chunks = limited_chunks(request, uploads.settings.max_upload_size)
        is_new = await uploads.receive(chunks, request.headers.get("content-type", ""), sender)
    return PlainTextResponse("The file is listed.\n" if is_new else "The file was there already.\n")


async def _to_slash(request: Request, context: Context) -> Response:
    """The same with a slash, absolute, for uv follows no other; 308, so that the upload stays one (RFC 9110)."""
    named = request.path_params.get("index")
    path = f"/{named}/legacy/" if named else "/legacy/"
    await drain(request)
    return Response(status_code=308, headers={"location": base_url(request.scope, context) + path})


async def _listed(request: Request, context: Context) -> Response:
    """The project's page where hatch looks for it: below the address of uploads, as devpi has it."""
    served, project = index_of(request, context), project_of_path(request)
    await admit_reader(request, context, served.name, project)
    page = served_page(findable_page(await served.project(project)), "../../../")
    return Response(simple_html.render_page(page), headers={"cache-control": "no-cache"}, media_type="text/html")


async def _yank(request: Request, context: Context) -> Response:
    uploads, project, sender = await _change_of(request, context, Action.YANK)
    async with told(uploads, sender, Action.YANK, project):
        body = await _body(request, YankBody)
        reason = _reason(body.reason)
    version = request.path_params["version"]
    await uploads.yank(sender, project, version, reason, is_yanked=True)
    return _done(project=project, version=version, yanked=True, reason=body.reason)


async def _unyank(request: Request, context: Context) -> Response:
    uploads, project, sender = await _change_of(request, context, Action.YANK)
    version = request.path_params["version"]
    async with told(uploads, sender, Action.YANK, project):
        reason = _reason(request.query_params.get("reason", ""))
    await uploads.yank(sender, project, version, reason, is_yanked=False)
    return _done(project=project, version=version, yanked=False)


async def _delete(request: Request, context: Context) -> Response:
    uploads, project, sender = await _change_of(request, context, Action.DELETE)
    filename = request.path_params["filename"]
    async with told(uploads, sender, Action.DELETE, project):
        reason = _reason(request.query_params.get("reason", ""))
    await uploads.delete(sender, project, filename, reason)
    return _done(project=project, filename=filename, deleted=True)


async def _mark(request: Request, context: Context) -> Response:
    uploads, project, sender = await _change_of(request, context, Action.ADMIN)
    async with told(uploads, sender, Action.ADMIN, project):
        body = await _body(request, StatusBody)
        reason = _reason(body.reason)
    await uploads.mark(sender, project, body.status, reason)
    return _done(project=project, status=body.status.value, reason=body.reason)


async def _change_of(request: Request, context: Context, action: Action) -> tuple[Uploads, NormalizedName, Sender]:
    uploads = await uploads_of(request, context, action)
    text = request.path_params["project"]
    try:
        project = parse_name(text)
    except InvalidName:
        sender = await admit_sender(request, context, uploads, action, None)
        async with told(uploads, sender, action, text[:100]):
            raise NotHosted(uploads.name, f"project {text[:100]!r}") from None
    return uploads, project, await admit_sender(request, context, uploads, action, project)


async def uploads_of(request: Request, context: Context, action: Action) -> Uploads:
    """What takes the uploads that this path is for. Raises NotHosted, once the audit log has it."""
    name = request.path_params.get("index", context.default)
    found = context.uploads.get(name)
    if found is None:
        error = NotHosted(name or "this server", "index here that takes uploads")
        await tell_stranger(request, context, error, action, name)
        raise error
    return found


async def tell_stranger(request: Request, context: Context, error: PypimError, action: Action, index: str) -> None:
    """Tell the audit log of a refusal that is the same whoever sends it."""
    peer = peer_of(request.scope, context.trusted_proxies)
    project = request.path_params.get("project", "")
    await context.doorkeeper.tell(error, "", peer, action.value, index[:100], project[:100])


async def admit_sender(
    request: Request, context: Context, uploads: Uploads, action: Action, project: NormalizedName | None
) -> Sender:
    """Who sends this, where they may do it. Raises what the doorkeeper raises, once the audit log has it."""
    peer = peer_of(request.scope, context.trusted_proxies)
    doorkeeper = context.doorkeeper
    try:
        visitor = await doorkeeper.admit(headers_of(request.scope), peer, action, uploads.name, project)
    except PypimError as error:
        await uploads.refuse(error, peer, action.value, project or "")
        raise
    request.state.is_stranger = False
    return Sender(visitor, peer, lambda known: doorkeeper.permit(visitor, action, uploads.name, known))


@asynccontextmanager
async def told(uploads: Uploads, sender: Sender, action: Action, project: str = "") -> AsyncIterator[None]:
    """The audit log is told of what is refused within, where nothing else would tell it."""
    try:
        yield
    except PypimError as error:
        await uploads.refuse(error, sender.peer, action.value, project, sender.visitor.name)
        raise


def check_length(request: Request, uploads: Uploads) -> None:
    """Refuse at once what says that it is too long. Raises UploadTooLarge."""
    limit, length = uploads.settings.max_upload_size, request.headers.get("content-length", "")
    if limit is not None and length.isdecimal() and int(length) > limit:
        raise UploadTooLarge("the request", limit)


async def limited_chunks(request: Request, limit: int | None) -> AsyncIterator[bytes]:
    """The body as it comes. Raises UploadTooLarge, and InvalidUpload where the client breaks off."""
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if limit is not None and total > limit:
                raise UploadTooLarge("the request", limit)
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise InvalidUpload("", ["the client broke off"]) from None
    except RequestTimeout:
        request.state.has_stalled = True
        raise


@asynccontextmanager
async def drained(request: Request) -> AsyncIterator[None]:
    """What is refused within is answered only once the request has been read."""
    try:
        yield
    except PypimError:
        await drain(request)
        raise


async def drain(request: Request) -> None:
    """Read on until the client has said all: it would not listen before, and take the end for a fault of the line.

    Not where the client waits to be asked for the rest (Expect: 100-continue) or has stalled, nor beyond any sensible
    length; and not for long where nobody knows who it is.
    """
    is_stranger = getattr(request.state, "is_stranger", True)
    most_bytes = _MOST_DRAINED_OF_STRANGERS if is_stranger else _MOST_DRAINED_BYTES
    length = request.headers.get("content-length", "0")
    is_sensible = length.isdecimal() and int(length) <= most_bytes
    has_stalled = getattr(request.state, "has_stalled", False)
    request.state.is_cut_short = True
    if not is_sensible or has_stalled or request.headers.get("expect", "").lower() == "100-continue":
        return
    total = 0
    with suppress(ClientDisconnect, RequestTimeout, TimeoutError):  # it has gone, stalls, or has had a stranger's time
        async with asyncio.timeout(_STRANGER_SECONDS if is_stranger else None):
            with suppress(RuntimeError):  # it has said all
                async for chunk in request.stream():
                    total += len(chunk)
                    if total > most_bytes:
                        return
            request.state.is_cut_short = False


async def _body(request: Request, kind: type[_Body]) -> _Body:
    """The JSON of a request; none at all stands for an empty one. Raises InvalidChange or UploadTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY_BYTES:
            raise UploadTooLarge("the body", _MOST_BODY_BYTES)
    try:
        return msgspec.json.decode(bytes(body) or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidChange(f"the body cannot be read: {error}") from None


def _reason(text: str) -> str:
    if len(text) > _MOST_REASON_CHARS:
        raise InvalidChange(f"a reason has at most {_MOST_REASON_CHARS:,} characters")
    if _UNREADABLE.search(text):
        raise InvalidChange("a reason has no control characters")
    return text.strip()


def _done(**document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json", headers={"cache-control": "no-store"})
