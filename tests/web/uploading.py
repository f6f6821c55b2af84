"""Files to upload and requests that upload them, made by hand: what clients send, and what none would."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.worlds.archives import filename_of, make_archive
from tests.worlds.specs import FileSpec, ReleaseSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.web.serving import RunningServer

CONFIG = """
[server]
default-index = "private"
[access]
open-on-loopback = true
[indexes.private]
kind = "hosted"
"""
BOUNDARY = "b0undary"
_HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


@dataclass(frozen=True)
class Upload:
    """A file as a client would send it."""

    filename: str
    content: bytes
    name: str
    version: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def fields(self, **changed: str | None) -> list[tuple[str, str]]:
        """The form of twine; None leaves a field out."""
        is_wheel = self.filename.endswith(".whl")
        form: dict[str, str | None] = {
            ":action": "file_upload",
            "protocol_version": "1",
            "name": self.name,
            "version": self.version,
            "filetype": "bdist_wheel" if is_wheel else "sdist",
            "pyversion": "py3" if is_wheel else "source",
            "sha256_digest": self.sha256,
            "blake2_256_digest": hashlib.blake2b(self.content, digest_size=32).hexdigest(),
            "description": "A long text.\n" * 100,
        }
        form |= {key.replace("action", ":action"): value for key, value in changed.items()}
        return [(key, value) for key, value in form.items() if value is not None]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str

    def json(self) -> object:
        return json.loads(self.body)


@lru_cache(maxsize=256)
def wheel(name: str = "ours", version: str = "1.0", payload: int = 0, requires: tuple[str, ...] = ()) -> Upload:
    return _made(name, ReleaseSpec(version=version, requires=requires), FileSpec(kind="wheel", payload=payload))


@lru_cache(maxsize=256)
def sdist(name: str = "ours", version: str = "1.0", payload: int = 0, requires: tuple[str, ...] = ()) -> Upload:
    return _made(name, ReleaseSpec(version=version, requires=requires), FileSpec(kind="sdist", payload=payload))


def _made(name: str, release: ReleaseSpec, spec: FileSpec) -> Upload:
    content, _ = make_archive(name, release, spec)
    return Upload(filename_of(name, release.version, spec), content, name, release.version)


def egg(name: str = "ours", version: str = "1.0") -> Upload:
    """As setuptools made them: PKG-INFO in the folder EGG-INFO."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("EGG-INFO/PKG-INFO", f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{name.replace('-', '_')}.py", "x = 1\n")
    return Upload(f"{name.replace('-', '_')}-{version}-py2.7.egg", buffer.getvalue(), name, version)


def changed(upload: Upload) -> Upload:
    """Another wheel of the same name: valid, with other bytes."""
    buffer = io.BytesIO(upload.content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("another.py", b"x = 1\n")
    return Upload(upload.filename, buffer.getvalue(), upload.name, upload.version)


def form_body(fields: Iterable[tuple[str, str]], files: Sequence[tuple[str, str, bytes]]) -> bytes:
    """The multipart body; files are (field, filename, content), and have no Content-Type, as uv sends them."""
    pieces = []
    for key, value in fields:
        pieces.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode())
    for key, filename, content in files:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"; filename="{filename}"\r\n\r\n'
        pieces += [head.encode(), content, b"\r\n"]
    return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()


def body_of(upload: Upload, **changed: str | None) -> bytes:
    return form_body(upload.fields(**changed), [("content", upload.filename, upload.content)])


def send(server: RunningServer | str, upload: Upload, path: str = "/private/legacy/", **changed: str | None) -> Answer:
    return request(server, "POST", path, body_of(upload, **changed), _HEADERS)


def request(
    server: RunningServer | str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    url = server if isinstance(server, str) else server.url
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        found = {key.lower(): value for key, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read().decode())
    finally:
        connection.close()


def page(server: RunningServer | str, project: str = "ours", index: str = "private") -> Answer:
    return request(
        server, "GET", f"/{index}/simple/{project}/", headers={"accept": "application/vnd.pypi.simple.v1+json"}
    )


def listed(server: RunningServer | str, project: str = "ours", index: str = "private") -> dict[str, str]:
    """File name → sha256, as the page lists them; empty where there is no such project."""
    answer = page(server, project, index)
    if answer.status == 404:
        return {}
    document = json.loads(answer.body)
    return {file["filename"]: file["hashes"]["sha256"] for file in document["files"]}
