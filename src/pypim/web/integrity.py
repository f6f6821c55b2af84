"""/integrity/<project>/<version>/<filename>/provenance: the attestations of a file (PEP 740)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pypim.core.errors import NotFound
from pypim.core.filenames import parse_filename, parse_version
from pypim.core.model import ProjectStatus
from pypim.core.provenance import PROVENANCE_TYPE, accepted_type, provenance_of
from pypim.core.request_errors import NotAcceptable
from pypim.index.group import GroupIndex
from pypim.web.answers import represent
from pypim.web.reading import admit_reader, index_of, project_of_path, ready, redirect

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pypim.core.model import DistFile, Page
    from pypim.ports import Served
    from pypim.web.context import Context


def routes(context: Context) -> list[BaseRoute]:
    """For the default index and for each by its name."""

    async def provenance(request: Request) -> Response:
        served = index_of(request, context)
        name = project_of_path(request)
        await admit_reader(request, context, served.name, name)
        content_type = accepted_type(request.headers.get("accept"))
        if content_type is None:
            raise NotAcceptable(request.headers.get("accept", ""), PROVENANCE_TYPE)
        filename = request.path_params["filename"]
        file = _listed(await served.project(name), request.path_params["version"], filename)
        if file is None:
            raise NotFound(f"{served.name}: no page lists {filename} as a file of that release")
        owner = await owner_of(served, name, file)
        body = await _provenance(context, owner, name, file)
        if body is None:
            assert file.provenance is not None
            return redirect(context, file.provenance, status=302, is_ours=False)
        return ready(request, represent(body, content_type, context.cache_controls[served.name], None))

    path = "integrity/{project}/{version}/{filename}/provenance"
    return [Route(f"/{path}", provenance), Route(f"/{{index}}/{path}", provenance)]


async def owner_of(served: Served, project: NormalizedName, file: DistFile) -> Served:
    """The index itself, or the member of a group, in which it is, that the file is from."""
    while isinstance(served, GroupIndex):
        served = await served.owner(project, file)
    return served


def _listed(page: Page, version: str, filename: str) -> DistFile | None:
    """The file of that name, where it is of that release and may be had."""
    if page.status is ProjectStatus.QUARANTINED:
        return None
    file = next((file for file in page.files if file.filename == filename), None)
    if file is None:
        return None
    parsed = parse_filename(filename, page.name)
    is_of_release = version == parsed.version_text or (
        parsed.version is not None and parsed.version == parse_version(version)
    )
    return file if is_of_release else None


async def _provenance(context: Context, owner: Served, project: NormalizedName, file: DistFile) -> bytes | None:
    """The object; None where only the upstream's own address of it is known. Raises NotFound where there is none."""
    if (hosted := context.hosted.get(owner.name)) is not None:
        for one in hosted.standing(owner.name, project).files:
            if one.filename == file.filename and one.attestations:
                return provenance_of(one.attestations)
    if not file.provenance:
        raise NotFound(f"{owner.name}: there is no provenance of {file.filename}")
    read = context.provenance.get(owner.name)
    return None if read is None else await read(file.provenance)
