"""The formats of lock files: uv.lock, pylock.toml, poetry.lock, pdm.lock and Pipfile.lock, each become a Lock.

Sources: PEP 751 and the PyPA specification "pylock.toml"; for the others, the files that the tools write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from packaging.utils import canonicalize_name

from pypim.core.filenames import parse_filename, parse_version
from pypim.core.locked import Gathering, Lock, LockedFile, check_major, locked_file, named, parse_hashes
from pypim.core.shaped import Misshapen, shaped

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.positions import KeyPath
    from pypim.core.shaped import Table

_ITSELF = "the project itself"
_UPDATE = "Update pypim, or let {tool} export a requirements.txt or pylock.toml, and name that."
_GIT_AND_OTHERS = ("git", "hg", "svn", "bzr")


# --- uv.lock --------------------------------------------------------------------------------------------------------
class _UvFile(msgspec.Struct, frozen=True):
    url: str | None = None
    path: str | None = None
    filename: str | None = None
    hash: str | None = None


class _UvPackage(msgspec.Struct, frozen=True):
    name: str
    source: dict[str, Any]
    version: str | None = None
    sdist: _UvFile | None = None
    wheels: tuple[_UvFile, ...] = ()


class _UvLock(msgspec.Struct, frozen=True):
    version: int
    package: tuple[_UvPackage, ...] = ()


def read_uv(table: Table) -> Lock:
    """uv.lock, version 1 with any revision. Raises Misshapen."""
    check_major(str(shaped(table.get("version", 0), int, ("version",))), 1, ("version",), _UPDATE.format(tool="uv"))
    if "distribution" in table:
        raise Misshapen(("distribution",), "this is the format of uv before 0.3")
    gathering = Gathering()
    for number, package in enumerate(shaped(table, _UvLock).package):
        path: KeyPath = ("package", number)
        if "registry" not in package.source:
            kind = next(iter(package.source), "nowhere")
            is_itself = kind in {"virtual", "editable"} and package.source[kind] == "."
            gathering.pass_over(package.name, _ITSELF if is_itself else kind, path)
            continue
        if package.version is None:
            raise Misshapen(path, f"{package.name} has no version")
        found = [_uv_file(wheel, (*path, "wheels", i)) for i, wheel in enumerate(package.wheels)]
        if package.sdist:
            found.append(_uv_file(package.sdist, (*path, "sdist")))
        gathering.hold(package.name, package.version, found, path)
    return gathering.lock()


def _uv_file(file: _UvFile, path: KeyPath) -> LockedFile:
    place = file.filename or file.url or file.path
    if not place:
        raise Misshapen(path, "it names no file")
    return locked_file(place, (file.hash,) if file.hash else (), path)


# --- pylock.toml ----------------------------------------------------------------------------------------------------
class _PylockFile(msgspec.Struct, frozen=True):
    name: str | None = None
    hashes: dict[str, str] = {}
    url: str | None = None
    path: str | None = None


class _PylockPackage(msgspec.Struct, frozen=True):
    name: str
    version: str | None = None
    vcs: dict[str, Any] | None = None
    directory: dict[str, Any] | None = None
    archive: dict[str, Any] | None = None
    sdist: _PylockFile | None = None
    wheels: tuple[_PylockFile, ...] = ()


class _Pylock(msgspec.Struct, frozen=True):
    packages: tuple[_PylockPackage, ...]


def read_pylock(table: Table) -> Lock:
    """pylock.toml, lock-version 1.x: an unknown major version is an error, a minor one a warning. Raises Misshapen."""
    version = _pylock_version(table)
    gathering = Gathering()
    for number, package in enumerate(shaped(table, _Pylock).packages):
        path: KeyPath = ("packages", number)
        source = _pylock_source(package)
        if source:
            gathering.pass_over(package.name, source, path)
            continue
        found = [_pylock_file(wheel, (*path, "wheels", i)) for i, wheel in enumerate(package.wheels)]
        if package.sdist:
            found.append(_pylock_file(package.sdist, (*path, "sdist")))
        held = package.version or _version_in(found, named(package.name, path))
        if held is None:
            raise Misshapen(path, f"{package.name} has no version")
        gathering.hold(package.name, held, found, path)
    newer = f"lock-version {version} is newer than 1.0: what it adds is not read"
    return gathering.lock(*([] if version == "1.0" else [newer]))


def _pylock_version(table: Table) -> str:
    version = table.get("lock-version")
    if version is None:
        raise Misshapen((), "lock-version is missing")
    text = shaped(version, str, ("lock-version",))
    check_major(text, 1, ("lock-version",), _UPDATE.format(tool="the tool that wrote it"))
    return text


def _pylock_source(package: _PylockPackage) -> str:
    """Where a package comes from that comes from no index; else empty."""
    if package.directory is not None:
        return _ITSELF if package.directory.get("path") in {".", "./"} else "directory"
    if package.vcs is not None:
        return str(package.vcs.get("type", "vcs"))
    return "archive" if package.archive is not None else ""


def _pylock_file(file: _PylockFile, path: KeyPath) -> LockedFile:
    """The name is that of the key `name`, "otherwise the last component of `path` or `url`" (PEP 751)."""
    place = file.name or file.path or file.url
    if not place:
        raise Misshapen(path, "it has neither a name, a path nor a url")
    return locked_file(place, (f"{name}:{digest}" for name, digest in file.hashes.items()), path)


def _version_in(files: list[LockedFile], project: NormalizedName) -> str | None:
    """The version that the names of files tell."""
    texts = (parse_filename(file.filename, project).version_text for file in files if file.filename)
    return next((text for text in texts if text), None)


# --- poetry.lock ----------------------------------------------------------------------------------------------------
class _File(msgspec.Struct, frozen=True):
    file: str | None = None
    url: str | None = None
    hash: str | None = None


class _PoetrySource(msgspec.Struct, frozen=True):
    type: str = ""
    url: str = ""


class _PoetryPackage(msgspec.Struct, frozen=True):
    name: str
    version: str
    files: tuple[_File, ...] | None = None
    source: _PoetrySource = _PoetrySource()


class _PoetryMetadata(msgspec.Struct, frozen=True, rename="kebab"):
    lock_version: str = "1.0"
    files: dict[str, tuple[_File, ...]] = {}
    """Until 1.1, by the name of the package, of all its versions together."""
    hashes: dict[str, tuple[str, ...]] = {}
    """Before 1.0, likewise."""


class _PoetryLock(msgspec.Struct, frozen=True):
    metadata: _PoetryMetadata
    package: tuple[_PoetryPackage, ...] = ()


def read_poetry(table: Table) -> Lock:
    """poetry.lock of Poetry 0.12 to 2.x. Raises Misshapen."""
    metadata = shaped(table.get("metadata", {}), _PoetryMetadata, ("metadata",))
    check_major(metadata.lock_version, 2, ("metadata", "lock-version"), _UPDATE.format(tool="Poetry"))
    gathering = Gathering()
    together = _poetry_files_by_project(metadata)
    for number, package in enumerate(shaped(table, _PoetryLock).package):
        path: KeyPath = ("package", number)
        if package.source.type not in {"", "legacy", "pypi"}:
            gathering.pass_over(package.name, package.source.type, path)
            continue
        if package.files is None:
            project = named(package.name, path)
            found = [file for file in together.get(project, ()) if _may_be_of(file, project, package.version)]
        else:
            found = [_file(file, (*path, "files", i)) for i, file in enumerate(package.files)]
        gathering.hold(package.name, package.version, found, path)
    return gathering.lock()


def _poetry_files_by_project(metadata: _PoetryMetadata) -> dict[NormalizedName, list[LockedFile]]:
    """The files of the older formats, where those of all versions of a project stand together."""
    found: dict[NormalizedName, list[LockedFile]] = {}
    for name, files in metadata.files.items():
        where: KeyPath = ("metadata", "files", name)
        found.setdefault(canonicalize_name(name), []).extend(_file(one, (*where, i)) for i, one in enumerate(files))
    for name, texts in metadata.hashes.items():
        found.setdefault(canonicalize_name(name), []).extend(_unnamed(texts, ("metadata", "hashes", name)))
    return found


def _may_be_of(file: LockedFile, project: NormalizedName, version: str) -> bool:
    """Whether the name of a file does not tell another version."""
    if file.filename is None:
        return True
    parsed = parse_filename(file.filename, project)
    if parsed.version is None:
        return parsed.version_text in {None, version}
    return parsed.version == parse_version(version)


def _unnamed(hashes: tuple[str, ...], path: KeyPath) -> list[LockedFile]:
    """A file for each hash, where nothing tells their names."""
    return [LockedFile(None, frozenset((one,))) for one in sorted(parse_hashes(hashes, path))]


def _file(file: _File, path: KeyPath) -> LockedFile:
    place = file.file or file.url
    if not place:
        raise Misshapen(path, "it names no file")
    return locked_file(place, (file.hash,) if file.hash else (), path)


# --- pdm.lock -------------------------------------------------------------------------------------------------------
class _PdmPackage(msgspec.Struct, frozen=True):
    name: str
    version: str | None = None
    files: tuple[_File, ...] | None = None
    path: str | None = None
    url: str | None = None
    git: str | None = None
    hg: str | None = None
    svn: str | None = None
    bzr: str | None = None


class _PdmMetadata(msgspec.Struct, frozen=True):
    lock_version: str = "4"
    files: dict[str, tuple[_File, ...]] = {}
    """Until 4.2, by "name version"."""


class _PdmLock(msgspec.Struct, frozen=True):
    metadata: _PdmMetadata
    package: tuple[_PdmPackage, ...] = ()


def read_pdm(table: Table) -> Lock:
    """pdm.lock, lock_version up to 4.x. Raises Misshapen."""
    metadata = shaped(table.get("metadata", {}), _PdmMetadata, ("metadata",))
    check_major(metadata.lock_version, 4, ("metadata", "lock_version"), _UPDATE.format(tool="PDM"))
    gathering = Gathering()
    for number, package in enumerate(shaped(table, _PdmLock).package):
        path: KeyPath = ("package", number)
        sources = [kind for kind in ("path", "url", *_GIT_AND_OTHERS) if getattr(package, kind) is not None]
        if sources:
            gathering.pass_over(package.name, _ITSELF if package.path in {".", "./"} else sources[-1], path)
            continue
        if package.version is None:
            raise Misshapen(path, f"{package.name} has no version")
        where, files = (*path, "files"), package.files
        if files is None:
            key = f"{package.name} {package.version}"
            where, files = ("metadata", "files", key), metadata.files.get(key, ())
        found = [_file(file, (*where, i)) for i, file in enumerate(files)]
        gathering.hold(package.name.partition("[")[0], package.version, found, path)
    return gathering.lock()


# --- Pipfile.lock ---------------------------------------------------------------------------------------------------
class _PipfileEntry(msgspec.Struct, frozen=True):
    version: str | None = None
    hashes: tuple[str, ...] = ()
    path: str | None = None
    file: str | None = None
    git: str | None = None
    hg: str | None = None
    svn: str | None = None
    bzr: str | None = None


def read_pipfile(table: Table) -> Lock:
    """Pipfile.lock, pipfile-spec up to 6: the packages of all its categories. Raises Misshapen."""
    if not isinstance(table.get("_meta"), dict):
        raise Misshapen((), "_meta is missing")
    spec = table["_meta"].get("pipfile-spec", 6)
    where: KeyPath = ("_meta", "pipfile-spec")
    check_major(str(shaped(spec, int, where)), 6, where, _UPDATE.format(tool="Pipenv"))
    gathering = Gathering()
    for category, entries in table.items():
        if category == "_meta":
            continue
        for name, raw in shaped(entries, dict[str, Any], (category,)).items():
            _gather_entry(gathering, name, shaped(raw, _PipfileEntry, (category, name)), (category, name))
    return gathering.lock()


def _gather_entry(gathering: Gathering, name: str, entry: _PipfileEntry, path: KeyPath) -> None:
    sources = [kind for kind in ("path", "file", *_GIT_AND_OTHERS) if getattr(entry, kind) is not None]
    if sources:
        gathering.pass_over(name, _ITSELF if entry.path in {".", "./"} else sources[-1], path)
        return
    if entry.version is None:
        raise Misshapen(path, f"{name} has no version")
    gathering.hold(name, entry.version.lstrip("= "), _unnamed(entry.hashes, (*path, "hashes")), path)
