"""Names and addresses that an upstream invents: none becomes a path, and none makes pypim read a local file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.worlds import faults
from tests.worlds.nasty import HOSTILE_NAMES, NASTY_ANCHORS, NASTY_ENTRIES
from tests.worlds.world import project

if TYPE_CHECKING:
    from tests.hostile.conftest import MakeSandbox
    from tests.worlds.faults import Fault, Response

CONTENT = b"not a wheel, but served as listed"
LONG = "evil-1." + "0" * 300 + ".tar.gz"
MORE_NAMES = [
    LONG,
    "evil-1.0.tar.gz\x1b[2J",
    "evil-1.0\u2028.tar.gz",
    "évil-1.0.tar.gz",
    "evil-1.0-py3-none-any.whl%00.tar.gz",
    "....//evil-1.0.tar.gz",
    "..%2f..%2fevil-1.0.tar.gz",
    "%2e%2e%5cevil-1.0.tar.gz",
    "CON.tar.gz",
    "evil-1.0.tar.gz ",
    "-evil-1.0.tar.gz",
    "evil-1.0.tar.gz:stream",
    "index.html",
]
PROJECTS = [
    "..",
    ".",
    "/etc/passwd",
    "../evil",
    "evil/../../x",
    "a\\b",
    "e\u202evil",
    "x" * 300,
    "évil",
    "",
    "evil\n",
    "-",
]


def entry(filename: str, url: str) -> dict[str, object]:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return {"filename": filename, "url": url, "hashes": {"sha256": digest}, "size": len(CONTENT)}


def with_links(links: list[tuple[str, str]]) -> Fault:
    """Entries in either form of the page."""
    anchors = [f'<a href="{url}#sha256={hashlib.sha256(CONTENT).hexdigest()}">{name}</a>' for name, url in links]
    return faults.more_entries([entry(name, url) for name, url in links], anchors)


@pytest.mark.parametrize("format_", ["json", "html_only"])
def test_no_file_name_becomes_a_path(sandbox: MakeSandbox, format_: str) -> None:
    """Protocol case 68: `../x.whl`, `a\\b.whl`, control characters, 300 characters: nothing written."""
    box = sandbox(project("evil", "1.0"), format=format_)
    links = [(name, f"/packages/hostile-{number}") for number, name in enumerate([*HOSTILE_NAMES, *MORE_NAMES])]
    box.server.misbehave("/simple/evil/", with_links(links))
    box.server.misbehave("/packages/hostile-*", faults.instead(CONTENT, "application/octet-stream"))
    outcome = box.sync('evil = "*"', "--keep-going", filters='formats = ["wheel", "sdist"]')
    assert outcome.status in {0, 1}
    assert "evil-1.0-py3-none-any.whl" in box.held()
    assert all(len(name) <= 255 for name in box.held())


@pytest.mark.parametrize("format_", ["json", "html_only"])
def test_entries_that_no_reader_may_choke_on(sandbox: MakeSandbox, format_: str) -> None:
    box = sandbox(project("evil", "1.0"), format=format_)
    box.server.misbehave("/simple/evil/", faults.more_entries(NASTY_ENTRIES, NASTY_ANCHORS))
    outcome = box.sync('evil = "*"', "--keep-going")
    assert outcome.status in {0, 1}
    assert "evil-1.0-py3-none-any.whl" in box.held()


@pytest.mark.parametrize("format_", ["json", "html_only"])
def test_no_address_makes_it_read_what_is_not_the_upstreams(sandbox: MakeSandbox, format_: str) -> None:
    box = sandbox(project("evil", "1.0"), format=format_)
    secret = box.secret.as_uri()
    addresses = [
        secret,
        secret.replace("file://", "file://localhost"),
        secret.upper()[:5] + secret[5:],
        "file:" + str(box.secret),
        "\tfile://" + str(box.secret),
        str(box.secret),
        "//" + str(box.secret),
        "../../../../../../../../.." + str(box.secret),
        "javascript:alert(1)",
        "data:application/octet-stream;base64,bm90IGEgd2hlZWw=",
        "ftp://127.0.0.1/evil",
        "http://",
        "http://[::1",
        "http:///etc/passwd",
        "\\\\host\\share\\evil",
        "/packages/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/packages/..%2f..%2f..%2fetc%2fpasswd%00",
    ]
    links = [(f"evil-2.{number}-py3-none-any.whl", url) for number, url in enumerate(addresses)]
    box.server.misbehave("/simple/evil/", with_links(links))
    outcome = box.sync('evil = "*"', "--keep-going")
    assert outcome.status in {0, 1}
    assert box.held() == {"evil-1.0-py3-none-any.whl", "evil-1.0-py3-none-any.whl.metadata"}


@pytest.mark.parametrize("format_", ["json", "html_only"])
def test_no_project_name_of_a_list_becomes_a_path(sandbox: MakeSandbox, format_: str) -> None:
    box = sandbox(project("evil", "1.0"), format=format_)

    def longer(response: Response) -> Response:
        if "json" not in response.headers["Content-Type"]:
            more = "".join(f'<a href="{name}/">{name}</a>\n' for name in PROJECTS)
            return replace(response, body=response.body + more.encode())
        listing = json.loads(response.body)
        listing["projects"] += [{"name": name} for name in PROJECTS]
        return replace(response, body=json.dumps(listing).encode())

    box.server.misbehave("/simple/", longer)
    outcome = box.sync("", "--keep-going", patterns='".*" = "latest"')
    assert outcome.status in {0, 1}
    assert {path.name for path in (box.mirror / "simple").iterdir() if path.is_dir()} == {"evil"}


def test_a_page_of_another_project_is_not_taken_for_this_one(sandbox: MakeSandbox) -> None:
    """PEP 691: the page says whose it is; files of another project are no candidates of this one."""
    box = sandbox(project("evil", "1.0"), project("good", "1.0"))

    def lie(page: dict[str, object]) -> None:
        page["name"] = "../good"

    box.server.misbehave("/simple/evil/", faults.changed_page(lie))
    outcome = box.sync('evil = "*"')
    assert outcome.status in {0, 6}
    assert {path.name for path in (box.mirror / "simple").glob("*/")} <= {"evil"}


def test_files_of_other_projects_on_a_page_are_left_out(sandbox: MakeSandbox) -> None:
    box = sandbox(project("evil", "1.0"))
    box.server.misbehave("/simple/evil/", with_links([("good-9.0-py3-none-any.whl", "/packages/hostile")]))
    box.server.misbehave("/packages/hostile", faults.instead(CONTENT))
    assert box.sync('evil = "latest"').status == 0
    assert "good-9.0-py3-none-any.whl" not in box.held()


@pytest.mark.parametrize("pattern", ["/simple/evil/", "*.metadata", "*.whl"])
@pytest.mark.parametrize("kind", ["local", "endless"])
def test_redirects_lead_neither_to_local_files_nor_on_for_ever(sandbox: MakeSandbox, pattern: str, kind: str) -> None:
    """Protocol case 76."""
    box = sandbox(project("evil", "1.0"))
    fault = faults.redirect(box.secret.as_uri()) if kind == "local" else faults.endless_redirect()
    box.server.misbehave(pattern, fault)
    outcome = box.sync('evil = "latest"')
    # Metadata that cannot be had in one way is had in another.
    assert outcome.status == (0 if pattern == "*.metadata" else 6)
    assert len(box.server.requests) < 60
