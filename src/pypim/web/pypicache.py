"""pypicache's paths, kept working for what was written for it: each leads to what we call the same thing today."""

from __future__ import annotations

import asyncio
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pypim.core.access import Action
from pypim.core.access_errors import CredentialsNeeded, NotPermitted
from pypim.core.errors import NotFound, PypimError
from pypim.core.filling import Ignored, Unusable, file_named, read_wanted, wanted_files
from pypim.core.ready import PageIsLong
from pypim.core.served import file_path, findable_page
from pypim.core.upload import UploadForm
from pypim.core.upload_errors import InvalidUpload, NotHosted
from pypim.web.errors import message_of
from pypim.web.reading import admit_reader, index_of, project_of_path, redirect, whole_body
from pypim.web.upload_form import read_parts
from pypim.web.upload_routes import admit_sender, check_length, drained, limited_chunks, tell_stranger, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from packaging.utils import NormalizedName
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from pypim.core.filling import Wanted
    from pypim.core.model import DistFile
    from pypim.ports import Served, StagedBlob
    from pypim.web.context import Context
    from pypim.web.upload import Uploads

_MOST_REQUIREMENTS_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20


class Line(msgspec.Struct, frozen=True):
    """What became of a line: held, unparseable, failed or ignored."""

    outcome: str
    text: str
    detail: str


def routes(context: Context) -> list[BaseRoute]:
    """What is uploaded goes to the default index, or to the first that takes uploads."""
    bound = [
        ("/local", _local, ["GET"]),
        ("/local/", _local, ["GET"]),
        ("/local/{project}", _local, ["GET"]),
        ("/local/{project}/", _local, ["GET"]),
        ("/requirements.txt", _fill, ["POST"]),
        ("/uploadpackage", _upload_form, ["POST"]),
        ("/uploadpackage/", _upload_form, ["POST"]),
        ("/packages/{project}/{filename}", _moved, ["GET"]),
        ("/packages/{python}/{letter}/{project}/{filename}", _moved, ["GET"]),
        ("/packages/{python}/{letter}/{project}/{filename}", _put, ["PUT"]),
    ]
    return [Route(path, partial(handler, context=context), methods=methods) for path, handler, methods in bound]


async def _local(request: Request, context: Context) -> Response:
    """/local/ lists what was uploaded here."""
    name = _uploads(context).name
    path = f"/{name}/simple/"
    if "project" in request.path_params:
        path += f"{project_of_path(request)}/"
    return redirect(context, path, status=302)


async def _moved(request: Request, context: Context) -> Response:
    """To where the file is now; from the default index, or else from the one that takes uploads."""
    project, filename = project_of_path(request), request.path_params["filename"]
    for place in dict.fromkeys((context.default, *(uploads.name for uploads in context.uploads.values()))):
        served = context.indexes.get(place)
        if served is None or not await _may_look(request, context, place, project):
            continue
        try:
            file = file_named(findable_page(await served.project(project)), filename)
        except NotFound:
            continue
        if file is not None:
            return redirect(context, f"/{place}/{quote(file_path(file))}", status=302)
    raise NotFound(f"{project} has no file {filename}", hint="Read the project's page at /simple/.")


async def _may_look(request: Request, context: Context, place: str, project: NormalizedName) -> bool:
    """Whether the sender reads that index. Credentials are asked for the default one only, for no other was named.

    Of one that is closed to the sender nothing is said: neither that it has the file nor that it has not.
    """
    try:
        await admit_reader(request, context, place, project)
    except (CredentialsNeeded, NotPermitted) as refusal:
        is_wrong = isinstance(refusal, CredentialsNeeded) and "authorization" in request.headers
        if place == context.default or is_wrong:
            raise
        return False
    return True


async def _put(request: Request, context: Context) -> Response:
    """The body is the file."""
    filename = request.path_params["filename"]
    async with drained(request):
        project = project_of_path(request)
        uploads = await _uploads_told(request, context)
        sender = await admit_sender(request, context, uploads, Action.UPLOAD, project)
        staged = uploads.stage()
        try:
            async with told(uploads, sender, Action.UPLOAD, project):
                check_length(request, uploads)
                await _write(staged, limited_chunks(request, uploads.settings.max_upload_size))
            await uploads.take(staged, UploadForm(filename=filename, name=project, takes_eggs=True), sender)
        finally:
            staged.discard()
    return JSONResponse({"uploaded": "ok"})


async def _write(staged: StagedBlob, chunks: AsyncIterator[bytes]) -> None:
    """In pieces that are worth a thread's while."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _CHUNK_BYTES:
            await asyncio.to_thread(staged.write, bytes(waiting))
            waiting.clear()
    if waiting:
        await asyncio.to_thread(staged.write, bytes(waiting))


async def _upload_form(request: Request, context: Context) -> Response:
    """The part `sdist` of the form is the file; nothing else is in it."""
    try:
        async with drained(request):
            uploads = await _uploads_told(request, context)
            sender = await admit_sender(request, context, uploads, Action.UPLOAD, None)
            staged = uploads.stage()
            try:
                async with told(uploads, sender, Action.UPLOAD):
                    check_length(request, uploads)
                    filename = await _form_file(request, uploads, staged)
                await uploads.take(staged, UploadForm(filename=filename, takes_eggs=True), sender)
            finally:
                staged.discard()
    except InvalidUpload as error:
        return JSONResponse({"error": True, "message": error.message}, 400)
    return JSONResponse({"uploaded": "ok"})


async def _form_file(request: Request, uploads: Uploads, staged: StagedBlob) -> str:
    """Write the file to `staged`; its name."""
    most = uploads.settings.max_upload_size
    content_type = request.headers.get("content-type", "")
    _, filename = await read_parts(limited_chunks(request, most), content_type, staged, most, "sdist")
    return filename


async def _uploads_told(request: Request, context: Context) -> Uploads:
    """The same, and the audit log is told where there is none."""
    try:
        return _uploads(context)
    except NotHosted as error:
        await tell_stranger(request, context, error, Action.UPLOAD, context.default)
        raise


def _uploads(context: Context) -> Uploads:
    found = context.uploads.get(context.default) or next(iter(context.uploads.values()), None)
    if found is None:
        raise NotHosted("this server", "index that takes uploads")
    return found


async def _fill(request: Request, context: Context) -> Response:
    """Hold beforehand what a requirements file names; answered line by line as it is done.

    As a form with the part `requirements`, which is how pypicache took it, the answer is one JSON document.
    """
    served = index_of(request, context)
    await admit_reader(request, context, served.name, None)
    body = await whole_body(request, "a requirements file", _MOST_REQUIREMENTS_BYTES)
    content_type = request.headers.get("content-type", "")
    is_form = content_type.startswith("multipart/form-data")
    text = await _part(body, content_type) if is_form else body
    wanted = await asyncio.to_thread(read_wanted, text.decode("utf-8-sig", "replace"))
    lines = _held(request, context, served, wanted)
    if not is_form:
        return StreamingResponse(_as_text(lines), media_type="text/plain; charset=utf-8")
    names = {"held": "cached", "unparseable": "unparseable", "failed": "failed", "ignored": "ignored"}
    told: dict[str, list[str]] = {name: [] for name in names.values()}
    async for line in lines:
        told[names[line.outcome]].append(line.text)
    return JSONResponse(told)


async def _part(body: bytes, content_type: str) -> bytes:
    async def whole() -> AsyncIterator[bytes]:
        yield body

    found = BytesIO()
    await read_parts(whole(), content_type, found, None, "requirements")
    return found.getvalue()


async def _held(
    request: Request, context: Context, served: Served, wanted: list[Wanted | Unusable | Ignored]
) -> AsyncIterator[Line]:
    for one in wanted:
        if isinstance(one, Unusable):
            yield Line("unparseable", one.text, one.reason)
            continue
        if isinstance(one, Ignored):
            yield Line("ignored", one.text, one.reason)
            continue
        try:
            await admit_reader(request, context, served.name, one.project)
            version, files = await _chosen(context, served, one)
            for file in files:
                await _hold(served, one, file)
        except PypimError as error:
            yield Line("failed", one.text, message_of(error))
        else:
            detail = f"{version}, {len(files)} files" if files else f"{served.name} has no release that matches"
            yield Line("held" if files else "failed", one.text, detail)


async def _chosen(context: Context, served: Served, wanted: Wanted) -> tuple[str, Sequence[DistFile]]:
    """The version and the files that are meant."""
    try:
        return wanted_files(wanted, await served.project(wanted.project))
    except PageIsLong:
        if context.long_pages is None:
            raise
        return await context.long_pages.wanted(served.name, wanted)


async def _hold(served: Served, wanted: Wanted, file: DistFile) -> None:
    """Ask for the file as a client would, and read it to its end; a proxy keeps it then."""
    content = await served.content(wanted.project, file)
    if not isinstance(content, Path):
        try:
            start = 0
            while chunk := await content.read(start, _CHUNK_BYTES):
                start += len(chunk)
        finally:
            content.close()


async def _as_text(lines: AsyncIterator[Line]) -> AsyncIterator[str]:
    async for line in lines:
        yield f"{line.outcome} {line.text}: {line.detail}\n"
