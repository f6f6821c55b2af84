"""A process of its own that makes the list of projects of one index, in all of its forms, and ends.

The list of a whole upstream takes several hundred megabytes to make, which a worker of the server must not keep.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pypim.core import simple_html, simple_json
from pypim.core.errors import PypimError
from pypim.core.negotiate import JSON_TYPE
from pypim.core.ready import ReadyBody, ReadyForm, ReadyList
from pypim.core.xml_rpc import serials_of
from pypim.index.proxy import ProxyIndex
from pypim.store import atomic
from pypim.web.answers import represent
from pypim.web.lists import READY_NAME
from pypim.web.pages import FORMS, written_type
from pypim.wiring import run
from pypim.wiring_server import cache_control_of, open_index

if TYPE_CHECKING:
    from pypim.config.model import Config
    from pypim.core.model import ProjectList
    from pypim.web.answers import Body, Headers


async def make(config: Config, index: str, folder: Path, state: str) -> None:
    """Read the list as the index has it now, write its forms, and then the description that names them."""
    begun = time.time()
    async with open_index(config, index) as served:
        listed = await (served.newest_list() if isinstance(served, ProxyIndex) else served.project_list())
    forms = _write_forms(listed, folder, cache_control_of(config.indexes[index]))
    _write_description(ReadyList(begun, state, forms, serials_of(listed).last), folder)


def _write_forms(listed: ProjectList, folder: Path, cache_control: str) -> dict[str, ReadyForm]:
    """Write all forms under names of their own."""
    atomic.make_folder(folder)
    forms: dict[str, ReadyForm] = {}
    for content_type in FORMS:
        is_json = content_type == JSON_TYPE
        content = (simple_json if is_json else simple_html).render_project_list(listed)
        whole = represent(content, written_type(content_type), cache_control, listed.last_serial or 1)
        packed = None if whole.packed is None else written(whole.packed, folder)
        forms[content_type] = ReadyForm(written(whole.plain, folder), packed)
    return forms


def _write_description(ready: ReadyList, folder: Path) -> None:
    """From now on it counts; the files of the one before stay for who is sending them, older ones go."""
    staying = {READY_NAME, *_files_of(folder), *_names(ready)}
    atomic.write_atomically(folder / READY_NAME, msgspec.json.encode(ready), is_durable=False)
    for path in folder.iterdir():
        if path.name not in staying:
            atomic.remove(path)


def written(body: Body, folder: Path) -> ReadyBody:
    """Write one form, unless it is there already, under a name that tells its content."""
    name = hashlib.sha256(body.etag.encode()).hexdigest()[:40]  # the etag is of the content, in its encoding
    write_once(folder / name, body.content)
    return ReadyBody(name, body.etag, _decoded(body.headers), _decoded(body.unchanged))


def write_once(path: Path, content: bytes) -> None:
    """Write a file whose name tells its content, unless it is there; a power cut may have left less of it."""
    if not path.exists() or path.stat().st_size != len(content):
        atomic.write_atomically(path, content, is_durable=False)


def _decoded(headers: Headers) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode(), value.decode()) for name, value in headers)


def _files_of(folder: Path) -> set[str]:
    try:
        return _names(msgspec.json.decode((folder / READY_NAME).read_bytes(), type=ReadyList))
    except (FileNotFoundError, msgspec.DecodeError):
        return set()


def _names(ready: ReadyList) -> set[str]:
    return {body.file for form in ready.forms.values() for body in (form.plain, form.packed) if body is not None}


def configuration() -> Config:
    """That of the process that began this one, which writes it to our standard input, and nobody else can."""
    config: Config = pickle.load(sys.stdin.buffer)  # noqa: S301 - for the reason above
    return config


def main() -> int:
    """INDEX FOLDER STATE, with the configuration on standard input; what goes wrong is one line on standard error."""
    index, folder, state = sys.argv[1:]
    try:
        run(make(configuration(), index, Path(folder), state))
    except PypimError as error:
        sys.stderr.write(error.message.replace("\n", " ") + "\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
