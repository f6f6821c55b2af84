"""The integrity path: attestations of uploads, and what an upstream has of its files (PEP 740)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest
from packaging.utils import NormalizedName

from pypim.core.errors import UpstreamUnavailable
from pypim.core.hosted import HostedFile, HostedProject, Standing
from pypim.core.model import Page, ProjectStatus
from pypim.core.names import parse_safe_filename
from pypim.core.patterns import ProjectPatterns
from pypim.core.provenance import accepted_type
from pypim.index.group import GroupIndex, Member
from pypim.web import integrity
from tests.index.shelf import Shelf, dist_file
from tests.web.shelves import ShelfServer, context_of, serving

FOO = NormalizedName("foo")
WHEEL = "foo-1.0-py3-none-any.whl"
PLAIN = dist_file(WHEEL)
LISTED = msgspec.structs.replace(PLAIN, provenance="https://index.example/integrity/foo/1.0/x/provenance")
PATH = f"integrity/foo/1.0/{WHEEL}/provenance"


class Upload:
    """A Hosted of one uploaded file with attestations."""

    def standing(self, index: str, project: NormalizedName, filename: str = "") -> Standing:
        file = HostedFile(
            project=project,
            filename=parse_safe_filename(WHEEL),
            version="1.0",
            sha256="a" * 64,
            blake2b_256="b" * 64,
            size=1,
            uploaded_at=1.0,
            uploaded_by="alice",
            attestations='[{"version": 1, "envelope": {}}]',
        )
        return Standing(project=HostedProject(name=project, serial=1), files=(file,))


async def read(url: str) -> bytes:
    if url == LISTED.provenance:
        return b'{"version": 1, "attestation_bundles": []}'
    raise UpstreamUnavailable(url, "503")


@pytest.fixture
def server() -> Iterator[ShelfServer]:
    ours = Shelf("ours", Page(name=FOO, files=(PLAIN,)))
    proxy = Shelf("proxy", Page(name=FOO, files=(LISTED,)))
    mirror = Shelf("mirror", Page(name=FOO, files=(LISTED,)))
    none = ProjectPatterns.compile((), "merge")
    group = GroupIndex("group", [Member(Shelf("empty")), Member(ours), Member(proxy)], none)
    locked = Shelf("locked", Page(name=FOO, files=(LISTED,), status=ProjectStatus.QUARANTINED))
    context = context_of(
        ours,
        proxy,
        mirror,
        group,
        locked,
        hosted={"ours": Upload()},
        provenance={"proxy": read},
    )
    with serving(context, integrity.routes) as running:
        yield running


@pytest.mark.parametrize("place", ["/", "/ours/", "/group/"])
def test_attestations_of_an_upload_are_its_provenance(server: ShelfServer, place: str) -> None:
    """PEP 740: {version: 1, attestation_bundles: [{publisher, attestations}]}."""
    answer = server.ask(place + PATH)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/vnd.pypi.integrity.v1+json"
    assert json.loads(answer.body) == {
        "version": 1,
        "attestation_bundles": [
            {
                "publisher": {"kind": "unknown", "claims": None},
                "attestations": [{"version": 1, "envelope": {}}],
            }
        ],
    }


def test_the_upstreams_own_is_handed_on(server: ShelfServer) -> None:
    answer = server.ask(f"/proxy/{PATH}", headers={"Accept": "application/json"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body)["attestation_bundles"] == []
    moved = server.ask(f"/mirror/{PATH}")
    assert (moved.status, moved.headers["location"]) == (302, LISTED.provenance)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/ours/integrity/foo/1.1/{WHEEL}/provenance", 404),
        (f"/ours/integrity/foo/1.0.0/{WHEEL}/provenance", 200),
        ("/ours/integrity/foo/1.0/foo-2.0.tar.gz/provenance", 404),
        (f"/ours/integrity/bar/1.0/{WHEEL}/provenance", 404),
        (f"/locked/integrity/foo/1.0/{WHEEL}/provenance", 404),
        (f"/nowhere/integrity/foo/1.0/{WHEEL}/provenance", 404),
    ],
)
def test_there_is_none_of_what_no_page_lists(server: ShelfServer, path: str, status: int) -> None:
    assert server.ask(path).status == status


def test_a_file_without_any_is_404() -> None:
    """`/integrity/…/provenance`: 404 none."""
    with serving(context_of(Shelf("main", Page(name=FOO, files=(PLAIN,)))), integrity.routes) as server:
        assert server.ask(f"/{PATH}").status == 404


def test_who_takes_no_json_is_told_so(server: ShelfServer) -> None:
    """`/integrity/…/provenance`: 406 bad Accept."""
    answer = server.ask(f"/ours/{PATH}", headers={"Accept": "text/html"})
    assert answer.status == 406
    assert b"application/vnd.pypi.integrity.v1+json" in answer.body


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, "application/vnd.pypi.integrity.v1+json"),
        ("*/*", "application/vnd.pypi.integrity.v1+json"),
        ("application/json", "application/json"),
        ("application/vnd.pypi.integrity.v1+json, application/json; q=0.5", "application/vnd.pypi.integrity.v1+json"),
        ("application/vnd.pypi.integrity.v1+json;q=0, application/json;q=0.1", "application/json"),
        ("text/html, application/json;q=0.0", None),
    ],
)
def test_which_type_is_answered(accept: str | None, answered: str | None) -> None:
    assert accepted_type(accept) == answered


def test_a_closed_index_is_closed_here_too() -> None:
    with serving(context_of(Shelf("main"), is_open=False), integrity.routes) as server:
        assert server.ask(f"/{PATH}").status == 401
