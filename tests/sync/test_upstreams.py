"""Whatever an upstream speaks and however little it says, the same configuration gives the same selection."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Document, Mirror, page_in, published_in, pypim, report_of
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
