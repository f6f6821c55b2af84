"""What an index says about a world: project lists, project pages and the per-project JSON API, in each dialect.

Written apart from the code under test, from the specification "Simple repository API".
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.worlds.specs import ProjectSpec

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"
PACKAGE_TYPES = {
    "wheel": "bdist_wheel",
    "sdist": "sdist",
    "egg": "bdist_egg",
    "wininst": "bdist_wininst",
    "msi": "bdist_msi",
    "rpm": "bdist_rpm",
    "dumb": "bdist_dumb",
    "dmg": "bdist_dmg",
    "deb": "bdist_deb",
}


class ListedFile(Protocol):
    """What a page needs to know of a file."""

    @property
    def version(self) -> str: ...
    @property
    def filename(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def md5(self) -> str: ...
    @property
    def blake2b_256(self) -> str: ...
    @property
    def metadata_sha256(self) -> str | None: ...
    @property
    def requires_python(self) -> str | None: ...
    @property
    def yanked(self) -> bool | str: ...
    @property
    def upload_time(self) -> str: ...
    @property
    def path(self) -> str: ...


class Listing(Protocol):
    """What pages are written from: a world, or any other source of projects and files."""

    @property
    def projects(self) -> Sequence[ProjectSpec]: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def serial(self) -> int: ...
    def spec(self, name: str) -> ProjectSpec: ...
    def files_of(self, name: str) -> Sequence[ListedFile]: ...


@dataclass(kw_only=True)
class Dialect:
    """How much an index tells. May be changed while the server runs."""

    format: str = "json_1_4"
    """`json_1_4` and `json_1_0` negotiate JSON and HTML; `html_only` answers HTML whatever is asked."""
    dates: bool = True
    """PEP 700 upload-time."""
    sizes: bool = True
    """PEP 700 size."""
    python_bounds: bool = True
    """PEP 503 data-requires-python, PEP 691 requires-python."""
    html_attributes: bool = False
    """Whether HTML carries dates and sizes as data-upload-time and data-size, which no standard knows."""
    advertise_metadata: bool = True
    """PEP 658/714."""
    hashes: str = "sha256"
    """`sha256`, `md5` or `none`."""
    serials: bool = True
    """`_last-serial` in the list and on pages, and X-PyPI-Last-Serial."""

    def says_more_than_pep_691(self) -> bool:
        """Whether the page is of API version 1.1 or later."""
        return self.format == "json_1_4"


def digests(built: ListedFile, dialect: Dialect) -> dict[str, str]:
    """Return the hashes object of one file."""
    return {} if dialect.hashes == "none" else {dialect.hashes: getattr(built, dialect.hashes)}


def list_json(world: Listing, dialect: Dialect) -> bytes:
    """Return the project list (PEP 691); a quarantined project is not on it (PEP 792)."""
    meta: dict[str, Any] = {"api-version": _api_version(dialect)}
    projects: list[dict[str, Any]] = [{"name": item.name} for item in world.projects if item.status != "quarantined"]
    if dialect.serials:
        meta["_last-serial"] = world.serial
        for entry in projects:
            entry["_last-serial"] = world.spec(entry["name"]).serial
    return json.dumps({"meta": meta, "projects": projects}).encode()


def list_html(world: Listing, dialect: Dialect) -> bytes:
    """Return the project list as PEP 503 has it."""
    links = (
        f'    <a href="/simple/{name}/">{html.escape(world.spec(name).name)}</a><br/>\n'
        for name in world.names
        if world.spec(name).status != "quarantined"
    )
    return _html_page("Simple index", "".join(links), world.serial if dialect.serials else None)


def page_json(world: Listing, name: str, dialect: Dialect, url_of: Callable[[ListedFile], str]) -> bytes:
    """Return a project's page (PEP 691, and with format json_1_4 also 700, 714 and 792)."""
    spec = world.spec(name)
    files = () if spec.status == "quarantined" else world.files_of(name)
    meta: dict[str, Any] = {"api-version": _api_version(dialect)}
    page: dict[str, Any] = {"meta": meta, "name": name, "files": [_entry(built, dialect, url_of) for built in files]}
    if dialect.serials:
        meta["_last-serial"] = spec.serial
    if dialect.says_more_than_pep_691():
        page["versions"] = list(dict.fromkeys(built.version for built in files))
        page["project-status"] = {"status": spec.status}
        if spec.status_reason:
            page["project-status"]["reason"] = spec.status_reason
    return json.dumps(page).encode()


def _api_version(dialect: Dialect) -> str:
    return "1.4" if dialect.says_more_than_pep_691() else "1.0"


def _entry(built: ListedFile, dialect: Dialect, url_of: Callable[[ListedFile], str]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "filename": built.filename,
        "url": url_of(built),
        "hashes": digests(built, dialect),
        "requires-python": built.requires_python if dialect.python_bounds else None,
        "yanked": built.yanked,
    }
    if dialect.advertise_metadata:
        entry["core-metadata"] = {"sha256": built.metadata_sha256} if built.metadata_sha256 else False
    if dialect.says_more_than_pep_691() and dialect.sizes:
        entry["size"] = built.size
    if dialect.says_more_than_pep_691() and dialect.dates:
        entry["upload-time"] = built.upload_time
    return entry


def page_html(world: Listing, name: str, dialect: Dialect, url_of: Callable[[ListedFile], str]) -> bytes:
    """Return a project's page (PEP 503, 592, 658, 792)."""
    spec = world.spec(name)
    files = () if spec.status == "quarantined" else world.files_of(name)
    links = "".join(_anchor(built, dialect, url_of(built)) for built in files)
    head = f'    <meta name="pypi:project-status" content="{spec.status}">\n' if spec.status != "active" else ""
    if spec.status_reason:
        head += f'    <meta name="pypi:project-status-reason" content="{html.escape(spec.status_reason)}">\n'
    return _html_page(f"Links for {spec.name}", links, spec.serial if dialect.serials else None, head)


def _anchor(built: ListedFile, dialect: Dialect, url: str) -> str:
    fragment = "".join(f"#{algorithm}={digest}" for algorithm, digest in digests(built, dialect).items())
    attributes = {"href": url + fragment}
    if built.requires_python and dialect.python_bounds:
        attributes["data-requires-python"] = built.requires_python
    if built.yanked is not False:
        attributes["data-yanked"] = built.yanked if isinstance(built.yanked, str) else ""
    if dialect.advertise_metadata and built.metadata_sha256:
        attributes["data-core-metadata"] = f"sha256={built.metadata_sha256}"
    if dialect.html_attributes and dialect.sizes:
        attributes["data-size"] = str(built.size)
    if dialect.html_attributes and dialect.dates:
        attributes["data-upload-time"] = built.upload_time
    text = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"    <a {text}>{html.escape(built.filename)}</a><br/>\n"


def _html_page(title: str, body: str, serial: int | None, head: str = "") -> bytes:
    trailer = "" if serial is None else f"<!--SERIAL {serial}-->"
    return (
        "<!DOCTYPE html>\n<html>\n  <head>\n"
        '    <meta name="pypi:repository-version" content="1.4">\n'
        f"{head}    <title>{html.escape(title)}</title>\n  </head>\n"
        f"  <body>\n    <h1>{html.escape(title)}</h1>\n{body}  </body>\n</html>\n{trailer}"
    ).encode()


def project_json(world: Listing, name: str, url_of: Callable[[ListedFile], str], version: str | None = None) -> bytes:
    """Return `/pypi/<name>/json`, or of one version (without the key `releases`)."""
    spec = world.spec(name)
    releases: dict[str, list[dict[str, Any]]] = {made.version: [] for made in spec.releases}
    for built in world.files_of(name):
        releases[built.version].append(_release_file(built, url_of(built)))
    shown = version or (spec.releases[-1].version if spec.releases else "")
    made = next((item for item in spec.releases if item.version == shown), None)
    document: dict[str, Any] = {
        "info": {
            "name": spec.name,
            "version": shown,
            "requires_dist": list(made.requires) if made else None,
            "requires_python": made.requires_python if made else None,
            "yanked": bool(made and made.yanked is not False),
            "yanked_reason": made.yanked if made and isinstance(made.yanked, str) else None,
        },
        "last_serial": spec.serial,
        "urls": releases.get(shown, []),
        "vulnerabilities": [],
    }
    if version is None:
        document["releases"] = releases
    return json.dumps(document).encode()


def _release_file(built: ListedFile, url: str) -> dict[str, Any]:
    return {
        "filename": built.filename,
        "url": url,
        "digests": {"md5": built.md5, "sha256": built.sha256, "blake2b_256": built.blake2b_256},
        "md5_digest": built.md5,
        "size": built.size,
        "packagetype": PACKAGE_TYPES[built.kind],
        "python_version": "source" if built.kind == "sdist" else "py3",
        "requires_python": built.requires_python,
        "upload_time": built.upload_time[:19],
        "upload_time_iso_8601": built.upload_time,
        "yanked": built.yanked is not False,
        "yanked_reason": built.yanked if isinstance(built.yanked, str) else None,
        "has_sig": False,
    }
