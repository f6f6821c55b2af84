"""Whatever an upstream speaks and however little it says, the same configuration gives the same selection."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Document, Mirror, page_in, published_in, pypim, report_of, wheels
from tests.worlds.server import WorldServer
from tests.worlds.site import Options
from tests.worlds.strategies import worlds
from tests.worlds.tree import write_tree
from tests.worlds.world import World, legacy, project, release, sdist, wheel

RICH = World.of(
    project("App.Main", "1.0", release("2.0", requires=["lib[fast]>=1,<3", "win; sys_platform == 'win32'"])),
    project(
        "lib",
        release("1.0", yanked="old"),
        release("2.0", wheel(), wheel("cp312-cp312-win_amd64"), sdist(), requires=["speed; extra == 'fast'"]),
        release("3.0", requires_python=">=3.13"),
    ),
    project("speed", release("1.0", sdist(), legacy("egg"), requires=["deep"]), release("2.0rc1")),
    project("deep", release("1.0", wheel("cp312-cp312-manylinux_2_28_x86_64", requires=["lib"]))),
    project("win", "1.0"),
    project("archived", "1.0", status="archived", status_reason="over"),
)
SILENT: Document = {
    "format": "html_only",
    "dates": False,
    "sizes": False,
    "advertise_metadata": False,
    "serve_metadata": False,
    "ranges": False,
    "json_api": False,
    "serials": False,
    "etags": False,
}
"""HTML as PEP 503 had it: a name, a link with its hash, and nothing more."""
PACKAGES = {"app-main": ["latest", "latest<2"], "archived": "latest"}


def selected(report: Document) -> list[Any]:
    """What was chosen and why, and what cannot be had; not where the bytes come from."""
    plan, problems = report["plan"], report["problems"]
    chosen = [
        (release["project"], release["version"], sorted(release["added"]), release["reasons"])
        for release in plan["releases"]
    ]
    return [chosen, [{**problem, "reason": ""} for problem in problems]]


@pytest.mark.parametrize(
    "options",
    [
        {"format": "json_1_0"},
        {"format": "html_only"},
        {"format": "html_only", "html_attributes": True},
        {"advertise_metadata": False},
        {"advertise_metadata": False, "serve_metadata": False},
        {"advertise_metadata": False, "serve_metadata": False, "ranges": False},
        {"hashes": "md5"},
        {"hashes": "none", "pypi_shaped": False},
        {"relative_urls": True, "gzip_pages": True, "last_modified": True},
        {"files_on_other_port": True},
        SILENT,
    ],
    ids=lambda options: " ".join(options) if len(options) < 5 else "silent",
)
def test_the_same_selection_and_the_same_tree(serve: ServeWorld, tmp_path: Path, options: Document) -> None:
    """An upstream that serves only HTML without dates, sizes or metadata (and no ranges), against Simple JSON 1.4."""
    told, silent = Mirror(tmp_path / "told"), Mirror(tmp_path / "silent")
    told.configure(serve(RICH).url, packages=PACKAGES)
    silent.configure(serve(RICH, **options).url, packages=PACKAGES)
    assert selected(silent.plan()) == selected(told.plan())
    told.sync()
    silent.sync()
    assert silent.published() == told.published()
    for name in told.published():
        ours, theirs = told.page(name), silent.page(name)
        for page in (ours, theirs):
            for file in page["files"]:
                file.pop("upload-time", None)
                file.pop("requires-python", None)
                assert file["size"]
                assert file["hashes"]["sha256"]
        assert [f["url"] for f in ours["files"]] == [f["url"] for f in theirs["files"]]
        assert [f.get("core-metadata") for f in ours["files"]] == [f.get("core-metadata") for f in theirs["files"]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds(max_projects=5))
def test_any_world_is_chosen_from_alike(world: World) -> None:
    """The property behind it, over generated worlds: every project of them is a root, those that fail are named."""
    reports: list[Document] = []
    with tempfile.TemporaryDirectory() as folder:
        for options in ({}, SILENT):
            with WorldServer(world, Options(**options)) as server:
                mirror = Mirror(Path(folder) / str(len(reports)))
                mirror.configure(server.url, packages=dict.fromkeys(world.names, "2 latest"))
                outcome = mirror.run("plan", "--keep-going", "--json")
                assert outcome.status in {0, 1}, outcome
                reports.append(report_of(outcome))
    assert selected(reports[0]) == selected(reports[1])


def test_a_folder_is_an_upstream(tmp_path: Path) -> None:
    """`url = "file://…"` or a path relative to the configuration: a tree that any mirror tool has written."""
    url = write_tree(RICH, tmp_path / "theirs")
    by_url, by_path = Mirror(tmp_path / "by-url"), Mirror(tmp_path / "by-path")
    by_url.configure(url, packages=PACKAGES)
    by_path.configure("../theirs/simple", packages=PACKAGES)
    assert selected(by_url.plan()) == selected(by_path.plan())
    by_url.sync()
    assert by_url.published()["app-main"] == ["app_main-1.0-py3-none-any.whl", "app_main-2.0-py3-none-any.whl"]
    report = by_url.sync()
    assert (report["outcome"], report["fetched_files"], report["pages_written"]) == ("unchanged", 0, 0)


def test_a_mirror_is_an_upstream_of_a_mirror(serve: ServeWorld, tmp_path: Path) -> None:
    """What we publish is an index like any other; hashes and paths stay what they were."""
    first, second = tmp_path / "first", tmp_path / "second"
    url = serve(RICH).url
    pypim("sync", "app-main", "archived", "--to", first, "--upstream", url, *LINUX_OPTIONS).expect()
    chain = ("--upstream", f"{first.as_uri()}/simple/", *LINUX_OPTIONS)
    pypim("sync", "app-main", "archived", "--to", second, *chain).expect()
    assert published_in(second) == published_in(first)
    assert page_in(second, "lib") == page_in(first, "lib")
    pypim("sync", "app-main", "--to", tmp_path / "by-path", "--upstream", first / "simple", *LINUX_OPTIONS).expect()
    assert "lib" in published_in(tmp_path / "by-path")


@pytest.mark.parametrize("place", ["page", "folder"])
def test_a_flat_list_of_files_is_an_upstream(serve: ServeWorld, mirror: Mirror, tmp_path: Path, place: str) -> None:
    """`layout = "flat"`: one page or one folder that lists files, as for pip's --find-links."""
    world = World.of(
        project("app", "1.0", release("2.0", requires=["lib>=1"])), project("lib", release("1.0", sdist()))
    )
    world.write_flat(tmp_path / "links")
    url = (tmp_path / "links").as_uri() if place == "folder" else f"{serve(world).root}/flat/"
    mirror.configure(url, upstream={"layout": "flat"}, packages={"app": "latest"})
    mirror.sync()
    assert mirror.published() == {"app": ["app-2.0-py3-none-any.whl"], "lib": ["lib-1.0.tar.gz"]}
    assert mirror.page("app")["files"][0]["core-metadata"] == {
        "sha256": world.file("app-2.0-py3-none-any.whl").metadata_sha256
    }
    assert mirror.sync()["outcome"] == "unchanged"


@pytest.mark.parametrize("rule", [{"packages": {"app": "latest"}}, {"patterns": {"app": "latest"}}])
def test_a_file_that_was_made_anew_in_a_folder_is_taken_anew(mirror: Mirror, tmp_path: Path, rule: Document) -> None:
    """A folder of links lists no hashes; that a file of the same name has another size tells that it is another."""
    links = tmp_path / "links"
    old = World.of(project("app", "1.0"), project("lib", "1.0"))
    new = World.of(project("app", release("1.0", wheel(payload=500), requires=["lib"])), project("lib", "1.0"))
    old.write_flat(links)
    mirror.configure(links.as_uri(), **rule)
    mirror.sync()
    new.write_flat(links)
    report = mirror.sync()
    assert mirror.published() == {"app": wheels("app 1.0"), "lib": wheels("lib 1.0")}
    assert mirror.page("app")["files"][0]["hashes"]["sha256"] == new.file("app-1.0-py3-none-any.whl").sha256
    assert report["corrected"] == ["app-1.0-py3-none-any.whl"]
    assert mirror.sync()["outcome"] == "unchanged"
    mirror.run("verify").expect()


def test_a_file_under_the_same_address_with_another_hash_is_another_file(serve: ServeWorld, mirror: Mirror) -> None:
    """An old index lists md5 alone, no sizes, and has taken a file of the same name again."""
    old, new = (World.of(project("app", release("1.0", wheel(payload=size)))) for size in (100, 200))
    server = serve(old, hashes="md5", sizes=False, json_api=False, pypi_shaped=False)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    server.world = new
    mirror.sync()
    assert mirror.page("app")["files"][0]["hashes"]["sha256"] == new.file("app-1.0-py3-none-any.whl").sha256
    assert mirror.sync()["outcome"] == "unchanged"


@pytest.mark.parametrize("shape", ["page", "page/", "html file", "project/"])
def test_links_to_files_need_not_be_said_to_be_flat(serve: ServeWorld, tmp_path: Path, shape: str) -> None:
    """`--upstream URL` takes what pip takes with --find-links; what a URL proves to be is found out."""
    world = World.of(project("app", release("2.0", requires=["lib>=1"])), project("lib", release("1.0", sdist())))
    server = serve(world)
    url = f"{server.root}/flat"
    if shape == "html file":
        world.write_flat(tmp_path / "links")
        links = "".join(f'<a href="{path.name}">{path.name}</a>' for path in (tmp_path / "links").iterdir())
        (tmp_path / "links" / "all.html").write_text(links)
        url = str(tmp_path / "links" / "all.html")
    elif shape.endswith("/"):
        url += "/"
    folder = tmp_path / "mirror"
    wanted = ["lib"] if shape == "project/" else ["app"]
    pypim("sync", *wanted, "--to", folder, "--upstream", url, *LINUX_OPTIONS).expect()
    assert published_in(folder).get("lib") == ["lib-1.0.tar.gz"]
    pypim("sync", "--to", folder).expect()
    error = pypim("sync", "nowhere", "--to", folder, "--json").expect(3).error
    assert "no project named 'nowhere'" in error["message"]


def test_a_pattern_takes_its_names_from_a_page_of_links(serve: ServeWorld, mirror: Mirror) -> None:
    world = World.of(project("app", "1.0", "2.0"), project("app-extra", "1.0"), project("lib", "1.0"))
    mirror.configure(f"{serve(world).root}/flat/", patterns={"app.*": "latest"})
    mirror.sync()
    assert mirror.published() == {"app": wheels("app 2.0"), "app-extra": wheels("app_extra 1.0")}


def test_an_upstream_with_another_url_is_another_upstream(serve: ServeWorld, mirror: Mirror) -> None:
    """What it offers, its validators and its pages are learned anew, whatever the old one of that name was like."""
    old = serve(RICH, **{**SILENT, "etags": True})
    new = serve(World.of(project("deep", "1.0", "2.0"), project("lib", "4.0")), **{**SILENT, "json_api": True})
    new.options.serve_metadata = True
    mirror.configure(old.url, packages={"lib": "*", "deep": "latest"})
    mirror.sync()
    mirror.configure(new.url, packages={"lib": "*", "deep": "latest"})
    mirror.sync()
    assert new.asked("/pypi/lib/json"), "that the old one had no JSON API says nothing of the new one"
    assert new.asked("*.metadata"), "nor that it had no metadata files"
    assert not [request for request in new.requests if "if-none-match" in request.headers]
    assert not new.asked("/simple/speed/")
    assert mirror.published() == {"deep": wheels("deep 2.0"), "lib": wheels("lib 4.0")}
    with sqlite3.connect(mirror.store / "catalog.sqlite") as catalog:
        decoded = catalog.execute("SELECT name, url FROM projects UNION SELECT project, NULL FROM files").fetchall()
        capabilities = dict(catalog.execute("SELECT upstream, is_offered FROM capabilities WHERE name = 'json-api'"))
    catalog.close()
    told = {(name, f"{new.url}{name}/") for name in ("deep", "lib")}
    assert set(decoded) == {*told, ("deep", None), ("lib", None)}
    assert capabilities == {old.url: 0, new.url: 1}
    mirror.configure(old.url, packages={"lib": "*", "deep": "latest"})
    mirror.sync()
    assert "lib-4.0-py3-none-any.whl" not in mirror.published()["lib"]
