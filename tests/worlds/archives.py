"""Real archives made in memory: a spec becomes a wheel that installs or an sdist that builds offline.

The same spec gives the same bytes in every run: dates are fixed and noise is seeded with the file's name.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import random
import re
import tarfile
import zipfile
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tests.worlds.specs import LEGACY_SUFFIXES

if TYPE_CHECKING:
    from tests.worlds.specs import FileSpec, ReleaseSpec

_DATE = (2024, 1, 1, 0, 0, 0)
_EPOCH = 1_704_067_200
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")

_BACKEND = '''
"""A build backend: the wheel is packed from what lies in this folder, once what shall build it can be imported."""
import base64, hashlib, os, pathlib, zipfile
@IMPORTS@
FOLDER, WHEEL_NAME, DIST_INFO = @NAMES@


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    record = []
    with zipfile.ZipFile(os.path.join(wheel_directory, WHEEL_NAME), "w") as archive:
        def add(name, data):
            archive.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}\\n")
        for path in sorted(pathlib.Path(FOLDER).rglob("*.py")):
            add(path.as_posix(), path.read_bytes())
        add(f"{DIST_INFO}/METADATA", pathlib.Path("built-metadata").read_bytes())
        add(f"{DIST_INFO}/WHEEL", b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{DIST_INFO}/RECORD", "".join(record) + f"{DIST_INFO}/RECORD,,\\n")
    return WHEEL_NAME


def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError
'''


def escaped(name: str) -> str:
    """Return a project name as file names carry it (PEP 427 and 625)."""
    return canonicalize_name(name).replace("-", "_")


def filename_of(name: str, version: str, spec: FileSpec) -> str:
    """Return the file name that belongs to the spec, or the one it insists on."""
    if spec.filename is not None:
        return spec.filename
    if spec.kind == "wheel":
        build = f"-{spec.build}" if spec.build else ""
        return f"{escaped(name)}-{version}{build}-{spec.tags}.whl"
    if spec.kind == "sdist":
        return f"{escaped(name)}-{version}.{spec.archive}"
    return f"{name}-{version}{LEGACY_SUFFIXES[spec.kind]}"


def metadata_of(name: str, release: ReleaseSpec, spec: FileSpec, requires: tuple[str, ...]) -> bytes:
    """Return the core metadata document of a file."""
    if spec.metadata is not None:
        return spec.metadata
    requires_python = spec.requires_python or release.requires_python
    mentioned = {match for line in requires for match in _EXTRA.findall(line)}
    lines = [f"Metadata-Version: {spec.metadata_version}", f"Name: {name}", f"Version: {release.version}"]
    lines += [f"Summary: {name} of a generated world"]
    lines += [f"Dynamic: {field}" for field in spec.dynamic]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Provides-Extra: {extra}" for extra in sorted({*release.extras, *mentioned})]
    lines += [f"Requires-Dist: {line}" for line in requires]
    return ("\n".join(lines) + "\n").encode()


@lru_cache(maxsize=4096)
def archive_of(name: str, release: ReleaseSpec, spec: FileSpec) -> tuple[bytes, bytes | None]:
    """Return the bytes of the file, and of a wheel the METADATA inside it; made once."""
    return make_archive(name, release, spec)


def make_archive(name: str, release: ReleaseSpec, spec: FileSpec) -> tuple[bytes, bytes | None]:
    """Return the same, made anew and not kept."""
    requires = release.requires if spec.requires is None else spec.requires
    metadata = metadata_of(name, release, spec, requires)
    filename = filename_of(name, release.version, spec)
    if spec.kind == "wheel":
        return _wheel(name, release.version, spec, metadata), metadata
    if spec.kind == "sdist":
        return _sdist(name, release, spec, metadata), None
    return b"opaque " + noise(filename, spec.payload), None


def noise(seed: str, size: int) -> bytes:
    """Return bytes that do not compress, the same for the same seed."""
    return random.Random(seed).randbytes(size) if size else b""


def _module(version: str) -> bytes:
    return f'__version__ = "{version}"\n\n\ndef main() -> None:\n    print(__version__)\n'.encode()


def _wheel(name: str, version: str, spec: FileSpec, metadata: bytes) -> bytes:
    folder = escaped(name)
    info = f"{folder}-{version}.dist-info"
    pythons, abis, platforms = (part.split(".") for part in spec.tags.split("-"))
    tags = "".join(f"Tag: {p}-{a}-{t}\n" for p in pythons for a in abis for t in platforms)
    pure = "true" if spec.tags.endswith("-none-any") else "false"
    build = f"Build: {spec.build}\n" if spec.build else ""
    members = {f"{folder}/__init__.py": _module(version)}
    if spec.payload:
        members[f"{folder}/payload.bin"] = noise(filename_of(name, version, spec), spec.payload)
    members[f"{info}/METADATA"] = metadata
    members[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: world\nRoot-Is-Purelib: {pure}\n{build}{tags}".encode()
    if spec.console_script:
        members[f"{info}/entry_points.txt"] = f"[console_scripts]\n{spec.console_script} = {folder}:main\n".encode()
    record = "".join(f"{path},sha256={_record_digest(data)},{len(data)}\n" for path, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    return _zip(members)


def _record_digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in members.items():
            member = zipfile.ZipInfo(path, _DATE)
            member.external_attr = 0o100644 << 16
            member.compress_type = zipfile.ZIP_STORED if path.endswith(".bin") else zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return buffer.getvalue()


def _sdist(name: str, release: ReleaseSpec, spec: FileSpec, metadata: bytes) -> bytes:
    folder = escaped(name)
    top = f"{folder}-{release.version}"
    members = {f"{top}/{folder}/__init__.py": _module(release.version)}
    if spec.has_pkg_info:
        members[f"{top}/PKG-INFO"] = metadata
    pyproject = _pyproject(name, release, spec) if spec.pyproject is None else spec.pyproject
    if pyproject:
        members[f"{top}/pyproject.toml"] = pyproject.encode()
    if spec.pyproject is None:
        names = (folder, f"{top}-py3-none-any.whl", f"{top}.dist-info")
        needed = (Requirement(text) for text in spec.builds_with)
        imports = "".join(f"import {escaped(one.name)}\n" for one in needed if one.marker is None)
        backend = _BACKEND.replace("@NAMES@", repr(names)).replace("@IMPORTS@", imports)
        members[f"{top}/world_backend.py"] = backend.encode()
        members[f"{top}/built-metadata"] = metadata
    if spec.requires_txt is not None:
        members[f"{top}/{folder}.egg-info/requires.txt"] = spec.requires_txt.encode()
        members[f"{top}/{folder}.egg-info/PKG-INFO"] = metadata
    if spec.payload:
        members[f"{top}/payload.bin"] = noise(top, spec.payload)
    return _zip(members) if spec.archive == "zip" else _tar(members)


def _pyproject(name: str, release: ReleaseSpec, spec: FileSpec) -> str:
    tools = json.dumps(spec.builds_with)
    text = f'[build-system]\nrequires = {tools}\nbuild-backend = "world_backend"\nbackend-path = ["."]\n'
    if not spec.has_static_pyproject:
        return text
    requires = release.requires if spec.requires is None else spec.requires
    plain, extras = _by_extra(requires)
    text += f'\n[project]\nname = "{name}"\nversion = "{release.version}"\ndependencies = {plain!r}\n'
    if release.requires_python:
        text += f"requires-python = {release.requires_python!r}\n"
    if extras:
        text += "\n[project.optional-dependencies]\n"
        text += "".join(f"{extra} = {lines!r}\n" for extra, lines in sorted(extras.items()))
    return text


def _by_extra(requires: tuple[str, ...]) -> tuple[list[str], dict[str, list[str]]]:
    """Split requirements into those always needed and those of `extra == …` standing alone as their marker."""
    plain: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            plain.append(line)
            continue
        found = _EXTRA.fullmatch(str(requirement.marker or ""))
        if found is None:
            plain.append(line)
        else:
            requirement.marker = None
            extras.setdefault(found[1], []).append(str(requirement))
    return plain, extras


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in members.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            member.mtime = _EPOCH
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), compresslevel=1, mtime=_EPOCH)
