"""/pypi/<project>/json and /pypi/<project>/<version>/json: the JSON API that mirrors and older tools read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.routing import Route

from pypim.core.errors import MetadataNotFound, NotFound, ProjectNotFound, UpstreamFault
from pypim.core.legacy_json import (
    Addresses,
    metadata_holders,
    newest_release,
    release_named,
    releases_of,
    render_project,
    render_release,
)
from pypim.core.model import ProjectStatus
from pypim.core.served import findable_page
from pypim.web.answers import represent
from pypim.web.forwarded import base_url
from pypim.web.reading import IN_INDEX, address_of, admit_reader, index_of, project_of_path, ready, redirect

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pypim.core.legacy_json import Releases
    from pypim.ports import Served
    from pypim.web.context import Context


def routes(context: Context) -> list[BaseRoute]:
    """For the default index and for each by its name."""

    async def project_json(request: Request) -> Response:
        served = index_of(request, context)
        name = project_of_path(request)
        version = request.path_params.get("version")
        path = _canonical(request, name, version)
        if path != request.scope["path"]:
            return redirect(context, quote(path, safe="/!+"), status=301)
        await admit_reader(request, context, served.name, name)
        page = findable_page(await served.project(name))
        if page.status is ProjectStatus.QUARANTINED:
            raise ProjectNotFound(name, served.name)
        releases = releases_of(page)
        shown = newest_release(releases) if version is None else release_named(releases, version)
        if shown is None:
            raise NotFound(f"{served.name}: {name} has no release{'' if version is None else f' {version}'}")
        metadata = await _metadata(served, name, releases, shown)
        render = render_project if version is None else render_release
        content = render(page, releases, shown, metadata, _addresses(request, context, served.name))
        cache_control = context.cache_controls[served.name]
        return ready(request, represent(content, "application/json", cache_control, page.last_serial or 1))

    paths = ("{project}/json", "{project}/json/", "{project}/{version}/json", "{project}/{version}/json/")
    return [Route(f"{place}/{path}", project_json) for place in ("/pypi", "/{index}/pypi") for path in paths]


def _canonical(request: Request, name: NormalizedName, version: str | None) -> str:
    """The path of the document: with the normalised name, and without a slash at the end (case 80)."""
    index = request.path_params.get("index")
    parts = ["", *filter(None, (index,)), "pypi", name, *([] if version is None else [version]), "json"]
    return "/".join(parts)


async def _metadata(served: Served, name: NormalizedName, releases: Releases, version: str) -> bytes | None:
    """The core metadata of a release; None where there is none, and where the upstream that has it does not answer.

    It is for show only: files and hashes, which everything depends on, are on the page.
    """
    for file in metadata_holders(releases[version]):
        try:
            return await served.metadata_bytes(name, file)
        except (MetadataNotFound, UpstreamFault):
            continue
    return None


def _addresses(request: Request, context: Context, index: str) -> Addresses:
    """Mirrors want the path of a file's address to begin with /packages, whatever index it is of."""
    base = base_url(request.scope, context)
    files = f"{base}/" if index == context.default else f"{base}{IN_INDEX}{index}/"
    return Addresses(index=address_of(request, context), files=files)
