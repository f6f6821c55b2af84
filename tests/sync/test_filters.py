"""Filters only ever take away: each of `[indexes.*.filters]` once from the configuration to the published page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, added, releases_in, wheels
from tests.worlds.world import FileSpec, World, legacy, project, release, sdist, wheel

MANYLINUX = "cp312-cp312-manylinux_2_17_x86_64"
RICH = project(
    "rich",
    release(
        "1.0",
        wheel(),
        wheel(MANYLINUX),
        wheel("cp311-abi3-manylinux_2_28_x86_64"),
        wheel("cp312-cp312-musllinux_1_2_x86_64"),
        sdist(),
        FileSpec(kind="sdist", archive="zip"),
        legacy("egg"),
        legacy("rpm"),
        legacy("wininst"),
        FileSpec(kind="deb", filename="rich_1.0-1_all.deb"),
    ),
)
PURE = "rich-1.0-py3-none-any.whl"
LIMITED = "rich-1.0-cp311-abi3-manylinux_2_28_x86_64.whl"
NATIVE = f"rich-1.0-{MANYLINUX}.whl"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [LIMITED, NATIVE, PURE]),
        ({"formats": ["wheel"]}, [LIMITED, NATIVE, PURE]),
        ({"formats": ["wheel", "sdist"]}, [LIMITED, NATIVE, PURE, "rich-1.0.tar.gz", "rich-1.0.zip"]),
        ({"formats": ["sdist"]}, ["rich-1.0.tar.gz", "rich-1.0.zip"]),
        ({"formats": ["sdist"], "extensions": ["zip"]}, ["rich-1.0.zip"]),
        ({"extensions": ["tar.gz", "zip"]}, ["rich-1.0.tar.gz", "rich-1.0.zip"]),
        ({"formats": ["wheel", "egg", "rpm"]}, [LIMITED, NATIVE, PURE, "rich-1.0-1.noarch.rpm", "rich-1.0-py2.7.egg"]),
        ({"formats": ["wininst"]}, ["rich-1.0.win32-py2.7.exe"]),
        ({"formats": ["wheel", "deb"], "extensions": [".deb"]}, ["rich_1.0-1_all.deb"]),
        ({"python_tags": ["py3"]}, [PURE]),
        ({"python_tags": ["cp312"]}, [NATIVE]),
        ({"exclude_tags": ["*manylinux*"]}, [PURE]),
        ({"exclude_tags": ["py3-none-any", "cp312-*"]}, [LIMITED]),
    ],
)
def test_filters_of_files(serve: ServeWorld, mirror: Mirror, filters: dict[str, Any], expected: list[str]) -> None:
    """formats, extensions, python-tags, exclude-tags; legacy kinds are carried only when they are asked for."""
    mirror.configure(serve(World.of(RICH)).url, packages={"rich": "latest"}, filters=filters)
    if filters.get("formats") == ["wininst"] or filters.get("extensions") == [".deb"]:
        mirror.sync()
        assert mirror.published() == {"rich": sorted(expected)}
    else:
        assert added(mirror.plan()) == sorted(expected)


def test_exclude_is_a_blocklist_of_names_globs_and_requirements(serve: ServeWorld, mirror: Mirror) -> None:
    """`exclude = ["tensorflow*", "torch>=3"]`."""
    world = World.of(
        project("app", "1.0", requires=["torch", "TensorFlow_GPU", "flow"]),
        project("torch", "2.0", "3.0", "3.1"),
        project("tensorflow-gpu", "1.0"),
        project("flow", "1.0"),
    )
    server = serve(world)
    mirror.configure(server.url, packages={"app": "latest"}, filters={"exclude": ["tensorflow*", "torch>=3"]})
    report = mirror.plan()
    assert releases_in(report) == ["app 1.0", "flow 1.0", "torch 2.0"]
    assert [(problem["project"], problem["is_certain"]) for problem in report["problems"]] == [
        ("tensorflow-gpu", False)
    ], "a dependency that a filter takes away is named, and is no failure"
    assert not server.asked("/simple/tensorflow-gpu/"), "what is excluded is not even asked for"


def test_a_filter_that_excludes_a_root_refuses_the_run(serve: ServeWorld, mirror: Mirror) -> None:
    """Exit 4, with the filter named; with --keep-going exit 1, and the rest is mirrored."""
    server = serve(project("app", "1.0"), project("torch", "3.0"))
    mirror.configure(server.url, packages={"app": "latest", "torch": "latest"}, filters={"exclude": ["torch>=3"]})
    error = mirror.refuses(status=4)
    assert "torch" in error["message"]
    assert "torch>=3" in error["message"]
    assert error["hint"]
    assert not mirror.tree.exists()
    report = mirror.sync("--keep-going", status=1)
    assert report["outcome"] == "partial"
    assert mirror.published() == {"app": wheels("app 1.0")}


def test_allow_admits_only_those_roots_and_what_they_need(serve: ServeWorld, mirror: Mirror) -> None:
    """`allow`: when given, only these (and, with follow, what they need)."""
    world = World.of(project("app", "1.0", "2.0", requires=["lib"]), project("lib", "1.0"), project("app-extra", "1.0"))
    url = serve(world).url
    mirror.configure(url, patterns={"app.*": "latest"}, filters={"allow": ["app<2"]})
    assert mirror.sync()["problems"] == [], "what only a pattern matches is passed over"
    assert mirror.published() == {"app": wheels("app 1.0"), "lib": wheels("lib 1.0")}
    mirror.configure(url, packages={"app-extra": "latest"}, filters={"allow": ["app<2"]})
    assert "filters.allow" in mirror.refuses(status=4)["message"]


def test_keep_latest_caps_what_a_rule_takes(serve: ServeWorld, mirror: Mirror) -> None:
    """At most N releases of each project; a pin is a pin."""
    world = World.of(project("app", "1.0", "2.0", "3.0", "4.0", "5.0rc1"))
    mirror.configure(serve(world).url, packages={"app": [">=1", "==1.0"]}, filters={"keep_latest": 2})
    assert added(mirror.plan()) == wheels("app 1.0", "app 3.0", "app 4.0")


def test_prereleases_count_only_when_allowed_or_named(serve: ServeWorld, mirror: Mirror) -> None:
    world = World.of(project("app", "1.0", "2.0rc1"), project("only", "1.0b1", "1.0b2"))
    url = serve(world).url
    mirror.configure(url, packages={"app": "latest", "only": "latest"})
    assert added(mirror.plan()) == wheels("app 1.0", "only 1.0b2")
    mirror.configure(url, packages={"app": "latest"}, filters={"prereleases": True})
    assert added(mirror.plan()) == wheels("app 2.0rc1")
    mirror.configure(url, packages={"app": "2.0rc1"})
    assert added(mirror.plan()) == wheels("app 2.0rc1")
    mirror.configure(url, packages={"app": ">=2.0rc1"})
    assert added(mirror.plan()) == wheels("app 2.0rc1")


def test_max_file_size_keeps_out_what_is_larger(serve: ServeWorld, mirror: Mirror) -> None:
    """Where the page says the size, before anything is fetched."""
    world = World.of(
        project("app", release("1.0", wheel(payload=100)), release("2.0", wheel(payload=5000))),
    )
    server = serve(world)
    mirror.configure(server.url, packages={"app": "latest"}, filters={"max_file_size": "4 kB"})
    mirror.sync()
    assert mirror.published() == {"app": wheels("app 1.0")}
    assert not server.asked("*/app-2.0*.whl")


SILENT: Document = {"format": "html_only", "json_api": False}
SIZED = World.of(
    project(
        "app",
        release("1.0", wheel(payload=100), requires=["lib", "big"]),
        release("2.0", wheel(payload=5000), requires=["lib"]),
    ),
    project("lib", release("1.0", sdist(), wheel("cp312-cp312-manylinux_2_17_x86_64", payload=9000))),
    project("big", release("1.0", wheel(payload=50_000))),
)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("hashes", ["sha256", "none"])
def test_max_file_size_chooses_alike_where_no_page_says_the_size(
    serve: ServeWorld, tmp_path: Path, hashes: str, *, ranges: bool
) -> None:
    """The files that would be chosen are asked for their size; nothing of a larger one is downloaded or kept."""
    told = Mirror(tmp_path / "told")
    silent = Mirror(tmp_path / "silent")
    server = serve(SIZED, ranges=ranges, hashes=hashes, pypi_shaped=False, **SILENT)
    for mirror, url in ((told, serve(SIZED).url), (silent, server.url)):
        mirror.configure(url, packages={"app": "latest"}, filters={"max_file_size": "4 kB"})
    expected, plan = (mirror.plan("--keep-going", status=1) for mirror in (told, silent))
    assert added(plan) == added(expected) == [*wheels("app 1.0"), "lib-1.0.tar.gz"]
    assert plan["problems"] == expected["problems"]
    assert "filters.max-file-size" in plan["problems"][0]["reason"]
    assert plan["plan"]["unknown_sizes"] == 0
    for mirror in (told, silent):
        mirror.sync("--keep-going", status=1)
    assert silent.published() == told.published() == {"app": wheels("app 1.0"), "lib": ["lib-1.0.tar.gz"]}
    answer = silent.run("why-not", "app==2.0", "--json").expect().document["indexes"][0]
    assert "filters.max-file-size" in answer["files"][0]["reason"]


def test_sizes_are_asked_for_only_where_they_decide_and_only_once(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(SIZED, **SILENT)
    mirror.configure(server.url, packages={"lib": "latest"})
    mirror.sync()
    assert not [request for request in server.asked("*.whl") if request.headers.get("range") == "bytes=0-0"]
    mirror.configure(server.url, packages={"app": "latest"}, filters={"max_file_size": "40 kB", "exclude": ["big"]})
    server.forget_requests()
    mirror.sync("--keep-going")
    sized = [
        request.path.rpartition("/")[2] for request in server.requests if "0-0" in request.headers.get("range", "")
    ]
    assert sorted(sized) == ["app-2.0-py3-none-any.whl", "lib-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]
    server.forget_requests()
    mirror.sync("--keep-going")
    assert not [request for request in server.requests if "range" in request.headers]


def test_a_root_that_is_too_large_is_refused_as_if_the_page_said_so(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(SIZED, **SILENT).url, packages={"big": "latest"}, filters={"max_file_size": "4 kB"})
    error = mirror.refuses(status=4)
    assert "filters.max-file-size" in error["message"]


def test_min_age_holds_back_what_is_too_new(serve: ServeWorld, mirror: Mirror) -> None:
    """A file that was uploaded later than so long ago does not count; a file of unknown age is not known to be old."""
    now = datetime.now(UTC)

    def ago(days: int) -> str:
        return f"{now - timedelta(days=days):%Y-%m-%dT%H:%M:%S.%fZ}"

    world = World.of(
        project("app", release("1.0", upload_time=ago(90)), release("2.0", upload_time=ago(3))),
        project("new", release("1.0", upload_time=ago(1))),
    )
    server = serve(world)
    mirror.configure(server.url, packages={"app": "latest"}, filters={"min_age": "7 days"})
    assert added(mirror.plan()) == wheels("app 1.0")
    mirror.configure(server.url, packages={"app": "latest"}, filters={"min_age": "2 days"})
    assert added(mirror.plan()) == wheels("app 2.0")
    mirror.configure(server.url, packages={"new": "latest"}, filters={"min_age": "7 days"})
    assert "filters.min-age" in mirror.refuses(status=4)["message"]

    server.options.format, server.options.json_api = "html_only", False
    mirror.configure(f"{server.root}/simple/", packages={"app": "latest"}, filters={"min_age": "7 days"})
    # The pages that are known already are no longer what the upstream says.
    assert "does not say when it was uploaded" in mirror.refuses(status=4)["message"]


def test_adding_a_deny_never_adds_a_file(serve: ServeWorld, mirror: Mirror) -> None:
    """A filter that takes away the newest release of a root gives the next one, and nothing else."""
    world = World.of(
        project("app", release("1.0"), release("2.0", requires=["lib"])),
        project("lib", "1.0"),
    )
    url = serve(world).url
    mirror.configure(url, packages={"app": ">=1"})
    everything = set(added(mirror.plan()))
    mirror.configure(url, packages={"app": ">=1"}, filters={"exclude": ["app>=2"]})
    assert set(added(mirror.plan())) == {"app-1.0-py3-none-any.whl"} < everything
