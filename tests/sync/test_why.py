"""`why` shows the chains that keep a project; `why-not` names the rule, filter or fact that keeps one out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, files_below, wheels
from tests.worlds.world import World, project, release, sdist, wheel

WORLD = World.of(
    project("app", release("1.0"), release("2.0", requires=["middle[fast]>=1"]), release("3.0rc1")),
    project(
        "middle",
        "1.0",
        requires=["deep", "fast-one; extra == 'fast'", "slow; extra == 'slow'", "win; sys_platform == 'win32'"],
    ),
    project("deep", "1.0", "2.0", requires=["app"]),
    project("fast-one", "1.0"),
    project("slow", "1.0"),
    project("win", "1.0"),
    project("other", "1.0", requires=["deep<2"]),
    project("native", release("1.0", wheel("cp312-cp312-win_amd64"), sdist()), release("0.9")),
    project("newer", release("1.0", requires_python=">=3.99"), release("0.5")),
    project("yanked", release("1.0", yanked="broken"), release("0.5")),
    project("big", release("1.0", wheel(payload=5000)), release("0.5")),
    project("fresh", release("1.0", upload_time="2999-01-01T00:00:00Z"), release("0.5")),
    project("closed", "1.0", status="quarantined", status_reason="malware"),
    project("nobody", "1.0"),
)


def chains(document: Document) -> dict[str, list[list[str]]]:
    return {
        f"{entry['release']['project']} {entry['release']['version']}": [
            [f"{link['by']}: {link['requirement']}" for link in chain["links"]] for chain in entry["release"]["chains"]
        ]
        for entry in document["kept"]
    }


def test_why_shows_every_chain_from_a_root(serve: ServeWorld, mirror: Mirror) -> None:
    """The shortest first; of a release named exactly, only its own."""
    mirror.configure(serve(WORLD).url, packages={"app": "latest", "other": "latest"})
    mirror.sync()
    assert chains(mirror.run("why", "Deep", "--json").expect().document) == {
        "deep 1.0": [["packages.other: latest", "other 1.0: deep<2"]],
        "deep 2.0": [["packages.app: latest", "app 2.0: middle[fast]>=1", "middle 1.0: deep"]],
    }
    assert list(chains(mirror.run("why", "deep==1", "--json").expect().document)) == ["deep 1.0"]
    assert chains(mirror.run("why", "app", "--json").expect().document)["app 2.0"][0] == ["packages.app: latest"]
    text = mirror.run("why", "deep==2.0").expect().stdout
    assert "packages.app: latest → app 2.0: middle[fast]>=1 → middle 1.0: deep" in text
    assert "linux cpython 3.12 linux" in text


def test_why_of_what_is_not_held_leads_to_why_not(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    mirror.sync()
    for asked in ("nobody", "deep==1.0"):
        error = mirror.run("why", asked, "--json").expect(3).error
        assert "why-not" in error["hint"]


@pytest.mark.parametrize(
    ("requirement", "index", "words"),
    [
        ("app", {}, ["it is held", "app 2.0", "pypim why app"]),
        ("app==1.0", {}, ["other releases are chosen", "'latest'", "app 2.0"]),
        ("app==3.0rc1", {}, ["other releases are chosen", "'latest'", "Add a rule"]),
        ("app>7", {}, ["no release", "the newest is 3.0rc1"]),
        ("deep<2", {}, ["other releases are chosen", "what others require", "deep 2.0"]),
        ("middle", {"filters": {"exclude": ["mid*"]}}, ["filters.exclude", "mid*"]),
        ("deep>=2", {"filters": {"exclude": ["deep>=2"]}}, ["filters.exclude", "deep>=2"]),
        ("nobody", {"packages": {"nobody": "*"}, "filters": {"allow": ["app"]}}, ["filters.allow"]),
        ("nobody", {}, ["nothing asks for nobody", "Add nobody"]),
        ("native==1.0", {"filters": {"formats": ["wheel"]}}, ["wheel tags", "filters.formats: sdist"]),
        ("newer==1.0", {}, ["Requires-Python '>=3.99'"]),
        ("yanked==1.0", {}, ["yanked: broken", "exact pin"]),
        ("big==1.0", {"filters": {"max_file_size": "2 kB"}}, ["filters.max-file-size", "2,000 are allowed"]),
        ("fresh==1.0", {"filters": {"min_age": "1 day"}}, ["filters.min-age", "2999"]),
        ("app==1.0", {"filters": {"exclude_tags": ["py3-none-*"]}}, ["filters.exclude-tags", "py3-none-*"]),
        ("app==1.0", {"filters": {"python_tags": ["cp27"]}}, ["filters.python-tags"]),
        ("app==1.0", {"filters": {"extensions": ["zip"]}}, ["filters.extensions: whl"]),
        ("closed", {"packages": {"closed": "latest"}}, ["quarantined", "malware"]),
        ("win", {}, ["middle 1.0", "win; sys_platform", "no target"]),
        ("slow", {}, ["middle 1.0", "slow; extra", "extra"]),
        ("middle", {"dependencies": {"follow": False}}, ["dependencies.follow"]),
        ("deep", {"dependencies": {"max_depth": 1}}, ["middle 1.0", "deep", "dependencies.max-depth"]),
        ("app==1.0", {"requirements": ["hashed.txt"]}, ["hash"]),
        ("deep==2.0", {"requirements": ["limited.txt"]}, ["constraint", "deep<2"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_why_not_names_what_keeps_it_out(
    serve: ServeWorld, mirror: Mirror, requirement: str, index: dict[str, Any], words: list[str]
) -> None:
    """The rule, filter, tag, Python bound, hash, age, status or condition, in prose and in JSON; nothing changes."""
    mirror.folder.mkdir()
    (mirror.folder / "hashed.txt").write_text(f"app==1.0 --hash=sha256:{'0' * 64}\n")
    (mirror.folder / "limited.txt").write_text("-c limits.txt\n")
    (mirror.folder / "limits.txt").write_text("deep<2\n")
    packages = {"app": "latest"} if index.get("requirements") != ["hashed.txt"] else {}
    mirror.configure(serve(WORLD).url, **{"packages": packages, **index})
    mirror.run("sync", "--keep-going")
    before = files_below(mirror.folder)
    document = mirror.run("why-not", requirement, "--json").expect().document
    assert document["command"] == "why-not"
    (answer,) = document["indexes"]
    assert set(answer) == {"index", "requirement", "is_kept", "verdict", "files", "remedy"}
    assert answer["is_kept"] == (words[0] == "it is held")
    text = mirror.run("why-not", requirement).expect().stdout
    said = " ".join([answer["verdict"], answer["remedy"], *(file["reason"] for file in answer["files"])])
    for word in words:
        assert word in said, said
        assert word in text
    assert files_below(mirror.folder) == before


def test_why_not_knows_a_python_bound_that_the_page_does_not_tell(serve: ServeWorld, mirror: Mirror) -> None:
    """Some indexes say no Requires-Python on their pages; that in the wheel counts all the same, before a sync too."""
    world = World.of(
        project(
            "app", release("3.0", requires_python=">=3.99"), release("2.0", requires_python=">=3.98"), release("1.0")
        )
    )
    mirror.configure(serve(world, python_bounds=False).url, packages={"app": "latest"})
    for _ in range(2):
        (answer,) = mirror.run("why-not", "app>=2", "--json").expect().document["indexes"]
        assert "every file that satisfies it is kept out" in answer["verdict"]
        assert {row["version"]: row["reason"].partition("Requires-Python ")[2] for row in answer["files"]} == {
            "3.0": "'>=3.99' allows",
            "2.0": "'>=3.98' allows",
        }
        mirror.sync()
    assert mirror.published() == {"app": wheels("app 1.0")}


def test_why_not_before_the_first_sync(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    (answer,) = mirror.run("why-not", "app>=2", "--json").expect().document["indexes"]
    assert "not there yet" in answer["verdict"]
    assert [file["filename"] for file in answer["files"] if not file["reason"]] == wheels("app 2.0")
    assert "pypim sync" in answer["remedy"]


def test_why_not_of_a_project_that_the_upstream_does_not_have(serve: ServeWorld, mirror: Mirror) -> None:
    """Exit 3, as for anything that is not found; where another index can have it, that one's answer counts."""
    url = serve(WORLD).url
    mirror.configure(url, packages={"app": "latest"})
    error = mirror.run("why-not", "nowhere>=1", "--json").expect(3).error
    assert error["code"] == "project-not-found"
    assert "no project named 'nowhere'" in error["message"]
    assert error["hint"]
    other = serve(project("nowhere", "1.0")).url
    mirror.write(
        f'[upstreams.one]\nurl = "{url}"\n[upstreams.two]\nurl = "{other}"\n'
        '[indexes.one]\nupstream = "one"\n[indexes.two]\nupstream = "two"\n'
    )
    one, two = mirror.run("why-not", "nowhere", "--json").expect().document["indexes"]
    assert "no project named 'nowhere'" in one["verdict"]
    assert "nothing asks for nowhere" in two["verdict"]
