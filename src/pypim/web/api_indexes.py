"""The API's answers about indexes, which whoever may read an index may see."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from pypim.core.access_errors import CredentialsNeeded, NotPermitted
from pypim.core.errors import NotFound, PypimError
from pypim.core.index_state import IndexState
from pypim.core.model import ProjectStatus
from pypim.core.served import file_path, findable_page
from pypim.index.group import GroupIndex
from pypim.index.group_said import explain
from pypim.web.api_shapes import FileEntry, IndexEntry, Indexes, Project, Projects, Why
from pypim.web.errors import message_of
from pypim.web.forwarded import base_url
from pypim.web.reading import admit_reader, index_of, project_of_path

if TYPE_CHECKING:
    from pypim.core.errors import Refused
    from pypim.core.model import DistFile, Page
    from pypim.index.group import Survey
    from pypim.index.group_said import GroupSaid
    from pypim.web.api_endpoint import Asked
    from pypim.web.context import Telling


def telling_of(asked: Asked) -> Telling:
    """What the API has of the store."""
    assert asked.context.telling is not None, "there are routes only where it is there"
    return asked.context.telling


async def list_indexes(asked: Asked) -> Indexes:
    """Those that the sender may read. Raises CredentialsNeeded or NotPermitted where these are none of all."""
    found, refusal = [], None
    for name in telling_of(asked).kinds:
        try:
            await admit_reader(asked.request, asked.context, name, None)
        except (CredentialsNeeded, NotPermitted) as error:
            if isinstance(error, CredentialsNeeded) and error.is_wrong:
                raise
            refusal = refusal or error
            continue
        found.append(await _entry(asked, name))
    if not found and refusal is not None:
        raise _as_of_the_server(refusal)
    return Indexes(indexes=tuple(found))


def _as_of_the_server(refusal: Refused) -> Refused:
    """The same, without the name of an index that the sender may not know."""
    if isinstance(refusal, NotPermitted):
        return NotPermitted(refusal.who, refusal.action, "this server", None)
    return CredentialsNeeded("this server")


async def _entry(asked: Asked, name: str) -> IndexEntry:
    return IndexEntry(
        name=name,
        kind=telling_of(asked).kinds[name],
        read="anyone" if asked.context.doorkeeper.is_open(name) else "authenticated",
        is_default=name == asked.context.default,
        simple_url=f"{base_url(asked.request.scope, asked.context)}/{name}/simple/",
    )


async def index_state(asked: Asked) -> IndexState:
    """What it holds and when it last changed."""
    served = index_of(asked.request, asked.context)
    await admit_reader(asked.request, asked.context, served.name, None)
    telling = telling_of(asked)
    return await telling.reading.run(partial(telling.state, served.name))


async def list_projects(asked: Asked) -> Projects:
    """Some of the projects of which it holds something. What a whole upstream offers is on /simple/ only."""
    served = index_of(asked.request, asked.context)
    await admit_reader(asked.request, asked.context, served.name, None)
    telling, query = telling_of(asked), asked.query
    names, more = await telling.reading.run(partial(telling.projects, served.name, query.after, query.limit))
    return Projects(index=served.name, projects=tuple(names), next=more)


async def one_project(asked: Asked) -> Project:
    """The page with addresses of ours."""
    served, project = index_of(asked.request, asked.context), project_of_path(asked.request)
    await admit_reader(asked.request, asked.context, served.name, project)
    page = findable_page(await served.project(project))
    return _shown(page, served.name, f"{base_url(asked.request.scope, asked.context)}/{served.name}/")


def _shown(page: Page, index: str, address: str) -> Project:
    files = () if page.status is ProjectStatus.QUARANTINED else page.files
    return Project(
        index=index,
        project=page.name,
        status=page.status,
        status_reason=page.status_reason,
        serial=page.last_serial,
        files=tuple(_file(file, address) for file in files),
    )


def _file(file: DistFile, address: str) -> FileEntry:
    hashes = {"sha256": file.sha256, "blake2b_256": file.blake2b_256}
    if file.other_hash is not None:
        hashes[file.other_hash[0]] = file.other_hash[1]
    return FileEntry(
        filename=file.filename,
        url=address + quote(file_path(file)),
        size=file.size,
        hashes={name: digits for name, digits in hashes.items() if digits},
        upload_time=file.upload_time,
        requires_python=file.requires_python,
        is_yanked=file.is_yanked,
        yanked_reason=file.yanked if isinstance(file.yanked, str) else None,
        has_metadata=bool(file.core_metadata),
    )


async def why(asked: Asked) -> Why:
    """What keeps a project in a mirror, or which member of a group answers for it. Raises NotFound for other kinds."""
    served, project = index_of(asked.request, asked.context), project_of_path(asked.request)
    await admit_reader(asked.request, asked.context, served.name, project)
    telling, version = telling_of(asked), asked.query.version
    kind = telling.kinds[served.name]
    if kind == "group" and isinstance(served, GroupIndex):
        survey = await served.survey(project)
        return Why(groups=(_as_answered(explain(served.name, survey, version), survey),))
    if kind != "mirror":
        raise NotFound(f"{served.name}: a {kind} index keeps nothing for a reason", hint="Ask a mirror or a group.")
    kept = await telling.reading.run(partial(telling.why, served.name, project, version or None))
    return Why(kept=tuple(kept))


def _as_answered(said: GroupSaid, survey: Survey) -> GroupSaid:
    """What members fail with as any answer says it: not where an upstream or the store is."""
    members = tuple(
        msgspec.structs.replace(member, reason=message_of(answer)) if isinstance(answer, PypimError) else member
        for member, answer in zip(said.members, survey.answers, strict=True)
    )
    return msgspec.structs.replace(said, members=members)
