"""Values of the store's ports for tests: small, real, and different where it matters."""

from __future__ import annotations

import hashlib

from pypim.core.model import Blob, CoreMetadata, DistFile, Holding, MetadataSource, Page, ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.records import Owner, StoredResponse
from pypim.core.selection import ChosenRelease, Problem, ProjectFacts, Reason, Selection, Share


def owner(index: str = "main", upstream: str = "https://index.example/simple/", credentials: str = "") -> Owner:
    """An index that reads that upstream."""
    return Owner(index=index, upstream=upstream, credentials=credentials)


def dist_file(filename: str = "flask-3.0.0-py3-none-any.whl", **fields: object) -> DistFile:
    known: dict[str, object] = {"url": f"https://files.example/{filename}", **fields}
    return DistFile(filename=parse_safe_filename(filename), **known)  # type: ignore[arg-type] # any field may be given


def page(name: str = "flask", *files: DistFile) -> Page:
    return Page(name=parse_name(name), files=files or (dist_file(),))


def response(url: str = "https://index.example/simple/flask/", **fields: object) -> StoredResponse:
    known: dict[str, object] = {
        "url": url,
        "final_url": url,
        "status": 200,
        "content_type": "application/vnd.pypi.simple.v1+json",
        "etag": '"abc"',
        "last_modified": None,
        "serial": 7,
        "fetched_at": 1000.0,
        "body": b'{"files": []}',
        **fields,
    }
    return StoredResponse(**known)  # type: ignore[arg-type] # any field may be given


def core_metadata(name: str = "flask", *requires_dist: str) -> CoreMetadata:
    return CoreMetadata(
        name=name,
        version="3.0.0",
        requires_dist=requires_dist,
        requires_python=">=3.8",
        provides_extra=("async",),
        build_requires=("flit_core >=3",),
        source=MetadataSource.EGG_INFO,
        is_lower_bound=True,
        faults=("line 3: repaired",),
    )


def holding(content: bytes, filename: str = "flask-3.0.0-py3-none-any.whl", metadata: bytes | None = None) -> Holding:
    return Holding(
        filename=parse_safe_filename(filename),
        blob=Blob(
            sha256=hashlib.sha256(content).hexdigest(),
            blake2b_256=hashlib.blake2b(content, digest_size=32).hexdigest(),
            size=len(content),
        ),
        metadata_sha256=None if metadata is None else hashlib.sha256(metadata).hexdigest(),
    )


def selection() -> Selection:
    root = Reason(origin="packages.flask", requirement="latest", environments=("cp311-linux", "cp313-macos"))
    edge = Reason(
        origin="",
        parent_project="flask",
        parent_version="3.0.0",
        requirement='click>=8; python_version > "3"',
        environments=("cp311-linux",),
    )
    build = Reason(
        origin="",
        parent_project="click",
        parent_version="8.1.7",
        requirement="flask",
        environments=("cp313-macos",),
        is_build=True,
    )
    wheel = dist_file(sha256="a" * 64, blake2b_256="b" * 64, size=10, yanked="broken", core_metadata="c" * 64)
    sdist = dist_file("flask-3.0.0.tar.gz", other_hash=("sha512", "d" * 128), yanked=True, core_metadata=False)
    click = dist_file("click-8.1.7-py3-none-any.whl", requires_python=">=3.7", provenance="https://index.example/p")
    return Selection(
        releases=(
            ChosenRelease(project=parse_name("click"), version="8.1.7", files=(click,), reasons=(edge,)),
            ChosenRelease(
                project=parse_name("flask"),
                version="3.0.0",
                files=(sdist, wheel),
                reasons=(root, build),
                shares=((Share(("cp311-linux",), (0, 2, 4000)), Share(("cp313-macos",), ())), ()),
            ),
        ),
        projects=(
            ProjectFacts(name=parse_name("click"), status=ProjectStatus.ACTIVE),
            ProjectFacts(name=parse_name("gone"), status=ProjectStatus.QUARANTINED, status_reason="malware"),
        ),
        problems=(
            Problem(
                project="nope",
                requirement="nope>=2",
                reason="no such project",
                chain=("flask", "click"),
                environments=("cp311-linux",),
                is_root=True,
            ),
        ),
        warnings=("click 8.1.7: a lower bound", "odd \N{SNOWMAN}"),
    )


def selection_of(file: DistFile, project: str = "app", version: str = "1.0") -> Selection:
    """What a mirror selected: that one file."""
    reason = Reason(origin=f"packages.{project}", requirement="latest", environments=("cp311-linux",))
    chosen = ChosenRelease(project=parse_name(project), version=version, files=(file,), reasons=(reason,))
    return Selection(
        releases=(chosen,), projects=(ProjectFacts(name=parse_name(project), status=ProjectStatus.ACTIVE),)
    )
