"""A group over HTTP and on the command line: what stands behind one address, and what never gets there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import pypim
from tests.web.asking import JSON, ask, files_of
from tests.web.conftest import Running
from tests.web.serving import RunningServer
from tests.worlds.faults import status
from tests.worlds.server import WorldServer
from tests.worlds.specs import project, release, sdist, wheel
from tests.worlds.world import World

UPSTREAM = World.of(
    project("acme-tool", release("9.0", wheel())),
    project("acme-secret", release("9.0", wheel())),
    project("flask", release("1.0", wheel())),
    project("shared", release("1.0", wheel(payload=1)), release("2.0", wheel())),
)
OURS = World.of(
    project("acme-tool", release("1.0", wheel(), sdist())),
    project("shared", release("1.0", wheel(payload=2)), release("1.1", wheel())),
)
CONFIG = """
[store]
path = "data"
[server]
default-index = "all"
[access]
open-on-loopback = true
[upstreams.up]
url = "{url}"
retries = 0
[indexes.cache]
kind = "proxy"
upstream = "up"
max-age = "0 seconds"
stale-while-revalidate = "0 seconds"
stale-if-error = "0 seconds"
[indexes.private]
kind = "hosted"
reserve = ["acme-secret", "ours-*"]
[indexes.all]
kind = "group"
members = ["cache", "private"]
merge = ["shared"]
"""


class Scene(NamedTuple):
    server: RunningServer
    config: Path
    upstream: WorldServer


@pytest.fixture
def scene(running: Running, serve: ServeWorld, tmp_path: Path) -> Scene:
    upstream = serve(UPSTREAM)
    server = running(CONFIG.format(url=upstream.url), tmp_path)
    for file in OURS.files:
        put = ask(f"{server.url}/packages/py3/x/{file.project}/{file.filename}", "PUT", file.content)
        assert put.status == 200, put
    return Scene(server, tmp_path / "pypim.toml", upstream)


def test_ours_is_what_installers_see_of_a_name_that_exists_twice(scene: Scene) -> None:
    """A private name that also exists upstream with a higher version: ours, through a group, and nothing else."""
    for place in ("/simple/", "/all/simple/"):
        assert set(files_of(f"{scene.server.url}{place}acme-tool/")) == {
            "acme_tool-1.0-py3-none-any.whl",
            "acme_tool-1.0.tar.gz",
        }
    assert scene.upstream.asked("*acme-tool*") == []
    assert set(files_of(f"{scene.server.url}/simple/flask/")) == {"flask-1.0-py3-none-any.whl"}


def test_case_35_a_reserved_name_is_never_looked_up_elsewhere(scene: Scene) -> None:
    """Case 35: names we own or block answer 200 with `files: []`, for at a 404 uv looks at its next index."""
    for name in ("acme-secret", "ours-new"):
        for place in ("/simple/", "/private/simple/"):
            assert files_of(f"{scene.server.url}{place}{name}/") == {}
    assert ask(f"{scene.server.url}/private/simple/nothing-of-the-kind/").status == 404
    assert scene.upstream.asked("*acme-secret*") == []
    assert ask(f"{scene.server.url}/simple/nothing-of-the-kind/").status == 404
    listed = ask(f"{scene.server.url}/simple/", Accept=JSON).document["projects"]
    assert {entry["name"] for entry in listed} == {"acme-tool", "flask", "shared"}


def test_case_35_ours_stays_ours_with_no_file_left(scene: Scene) -> None:
    """Case 35: private name, zero files left → 200 `files: []`, not 404."""
    for filename in ("acme_tool-1.0-py3-none-any.whl", "acme_tool-1.0.tar.gz"):
        path = f"/api/v1/indexes/private/projects/acme-tool/files/{filename}"
        assert ask(scene.server.url + path, "DELETE").status == 200
    assert files_of(f"{scene.server.url}/simple/acme-tool/") == {}
    assert scene.upstream.asked("*acme-tool*") == []


def test_case_36_a_member_that_fails_is_never_404(scene: Scene) -> None:
    """Case 36: upstream 503 → stale page or 503; never 404 (pip silently falls through)."""
    scene.upstream.misbehave("*", status(503))
    for name in ("flask", "shared", "nothing-of-the-kind", ""):
        answer = ask(f"{scene.server.url}/simple/{name}{'/' if name else ''}")
        assert answer.status in {502, 503, 504}, (name, answer)
    assert set(files_of(f"{scene.server.url}/simple/acme-tool/")), "what is ours does not need the upstream"
    scene.upstream.behave()
    assert files_of(f"{scene.server.url}/simple/flask/")


def test_case_78_two_contents_of_one_name_are_never_merged(scene: Scene) -> None:
    """Case 78: two indexes, same filename, different sha256 → never merged under one URL; conflict reported."""
    listed = files_of(f"{scene.server.url}/simple/shared/")
    assert set(listed) == {f"shared-{version}-py3-none-any.whl" for version in ("1.0", "1.1", "2.0")}
    theirs, own = UPSTREAM.file("shared-1.0-py3-none-any.whl"), OURS.file("shared-1.0-py3-none-any.whl")
    assert listed[theirs.filename]["hashes"]["sha256"] == theirs.sha256
    for filename, entry in listed.items():
        world = OURS if filename == "shared-1.1-py3-none-any.whl" else UPSTREAM
        assert ask(entry["url"]).body == world.file(filename).content
        assert ask(entry["url"] + ".metadata").body == world.file(filename).metadata
    only_ours = files_of(f"{scene.server.url}/private/simple/shared/")[own.filename]["url"]
    assert ask(only_ours).body == own.content
    path = only_ours.removeprefix(f"{scene.server.url}/private")
    assert ask(f"{scene.server.url}/all{path}").status == 404, "the group's page does not list it"


def test_a_new_upload_is_on_the_groups_page_at_once(scene: Scene) -> None:
    """Case 34: also where the name was the upstream's until now."""
    assert files_of(f"{scene.server.url}/simple/flask/")
    new = World.of(project("flask", release("0.1", wheel()))).file("flask-0.1-py3-none-any.whl")
    assert ask(f"{scene.server.url}/packages/py3/f/flask/{new.filename}", "PUT", new.content).status == 200
    assert set(files_of(f"{scene.server.url}/simple/flask/")) == {new.filename}


def test_why_says_which_member_won_and_what_the_others_have(scene: Scene) -> None:
    def why(name: str, *words: str, expected: int = 0) -> str:
        return pypim("-c", scene.config, "why", name, "--index", "all", *words).expect(expected).stdout

    assert why("flask").splitlines() == [
        "all answers for flask with what cache has",
        "  cache answers: 1 file (1.0)",
        "  private has no such project",
    ]
    assert why("acme-tool").splitlines() == [
        "all answers for acme-tool with what private has, which reserves the name",
        "  cache is not asked: acme-tool is reserved by private",
        "  private answers: 2 files (1.0)",
    ]
    assert "with no files for ours-x: the name is reserved by private" in why("Ours.X")
    merged = why("shared==1.0")
    assert "with the files of all members" in merged
    assert "private is taken, too: 1 file (1.0)" in merged
    assert "shared-1.0-py3-none-any.whl: the file of private has other bytes than that of cache" in merged
    found = pypim("-c", scene.config, "why", "flask", "--index", "all", "--json").expect().document
    assert found["groups"][0]["winner"] == "cache"
    assert pypim("-c", scene.config, "why", "nothing", "--index", "all").expect(3)
    scene.upstream.misbehave("*", status(503))
    failing = why("flask", expected=6)
    assert "all answers nothing for flask" in failing
    assert "cache fails: " in failing
    assert scene.upstream.asked("*acme-tool*") == []
