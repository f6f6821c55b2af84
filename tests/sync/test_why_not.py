"""`why-not` names what keeps a requirement out, and following what it advises gets it held."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ServeWorld
from tests.sync.follow import Setting, commands, follow, objections, options
from tests.sync.mirror import Document, Mirror, files_below, pypim, wheels
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
    project("newer", release("1.0", requires_python=">=3.14"), release("0.5")),
    project("never", release("1.0", wheel("cp312-cp312-win_amd64"), requires_python=">=3.14")),
    project("far", release("1.0", wheel("cp313-cp313-win_amd64", payload=5000)), release("0.5")),
    project("yanked", release("1.0", yanked="broken"), release("0.5")),
    project("big", release("1.0", wheel(payload=5000)), release("0.5")),
    project("fresh", release("1.0", upload_time="2999-01-01T00:00:00Z"), release("0.5")),
    project("closed", "1.0", status="quarantined", status_reason="malware"),
    project("nobody", "1.0"),
)


@dataclass(frozen=True)
class Row:
    """A question, what the answer has to say, and whether anything can be changed to get it."""

    requirement: str
    index: Document
    words: tuple[str, ...]
    remedy: str = ""
    """How it begins; empty where there is none."""


EXCLUDED = "every file that satisfies it is kept out"
ROWS = [
    Row(
        "app==1.0", {}, ("nothing needs app 1.0", "'latest' (packages.app) takes app 2.0, which is newer"), "Write app"
    ),
    Row("app==3.0rc1", {}, ("'latest' (packages.app) takes app 2.0, which is no pre-release",), "Write app ="),
    Row(
        "app",
        {"filters": {"min_age": "9999 days"}},
        (EXCLUDED, "min-age"),
        "Lower filters.min-age.",
    ),
    Row("app>7", {}, ("the upstream lists no release of app", "the newest is 3.0rc1")),
    Row(
        "app==1.0",
        {"packages": {"app": "*"}, "filters": {"keep_latest": 1}},
        ("which is newer (filters.keep-latest = 1)",),
        'Write app = ["*", "==1.0"] in',
    ),
    Row("deep<2", {}, ("middle 1.0 requires 'deep' and is satisfied by deep 2.0, which is newer",), "Add deep ="),
    Row("middle", {"filters": {"exclude": ["mid*"]}}, ("middle is kept out by filters.exclude",), 'Take "mid*" out'),
    Row("deep>=2", {"filters": {"exclude": ["deep>=2", "de*>1"]}}, (EXCLUDED, 'filters.exclude: "deep>=2"'), "Take"),
    Row(
        "nobody",
        {"packages": {"nobody": "*"}, "filters": {"allow": ["app"]}},
        ("filters.allow",),
        'Add "nobody" to filters.allow.',
    ),
    Row(
        "nobody",
        {},
        ("nothing asks for nobody",),
        'Add nobody = "==1.0" to [indexes.main.packages], or run `pypim sync nobody==1.0',
    ),
    Row("nobody", {"filters": {"allow": ["app"]}}, ("nothing asks for nobody",), 'Add "nobody" to filters.allow; and'),
    Row(
        "app==1.0",
        {"filters": {"allow": ["app>=2"]}},
        ('filters.allow: "app>=2"',),
        'Add "app==1.0" to filters.allow; and write',
    ),
    Row(
        "native==1.0",
        {"filters": {"formats": ["wheel"]}},
        ("wheel tags", "filters.formats: sdist"),
        'Set filters.formats to ["sdist", "wheel"]; or add a target that accepts the wheel tags cp312-cp312-win_amd64.',
    ),
    Row("newer==1.0", {}, ("Requires-Python '>=3.14'",), "Add a target that has a Python that '>=3.14' allows."),
    Row(
        "far==1.0",
        {"filters": {"exclude_tags": ["*win*"], "max_file_size": "2 kB"}},
        ('filters.exclude-tags: "*win*"',),
        "Raise filters.max-file-size to 6,066 bytes or more and take ",
    ),
    Row("never==1.0", {}, ("no target accepts its wheel tags",)),
    Row("yanked==1.0", {}, ("yanked: broken", "exact pin"), "Add yanked ="),
    Row("big==1.0", {"filters": {"max_file_size": "2 kB"}}, ("filters.max-file-size", "2,000 are allowed"), "Raise"),
    Row("fresh==1.0", {"filters": {"min_age": "1 day"}}, ("filters.min-age", "2999"), "Lower filters.min-age."),
    Row("app==1.0", {"filters": {"exclude_tags": ["py3-none-*"]}}, ('filters.exclude-tags: "py3-none-*"',), "Take"),
    Row("app==1.0", {"filters": {"python_tags": ["cp27"]}}, ("filters.python-tags",), 'Add "py3" to'),
    Row("app==1.0", {"filters": {"extensions": ["zip"]}}, ("filters.extensions: whl",), 'Add "whl" to'),
    Row("closed", {"packages": {"closed": "latest"}}, ("quarantined", "malware")),
    Row("win", {}, ("middle 1.0 requires", "win; sys_platform", "no target"), "Add win ="),
    Row("slow", {}, ("middle 1.0 requires", "slow; extra", "nobody asks for its extra 'slow'"), "Add slow ="),
    Row("middle", {"dependencies": {"follow": False}}, ("dependencies.follow",), "Add middle ="),
    Row("deep", {"dependencies": {"max_depth": 1}}, ("middle 1.0", "dependencies.max-depth = 1"), "Add deep ="),
    Row("app==1.0", {"packages": {}, "requirements": ["hashed.txt"]}, ("hash",), "Add --hash=sha256:"),
    Row(
        "deep==2.0",
        {"requirements": ["limited.txt"]},
        ("the constraint deep<2 keeps deep 2.0 out",),
        "Let the constraint deep<2 admit 2.0; and add deep =",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.requirement} {json.dumps(row.index)}")
def test_why_not_names_what_keeps_it_out_and_what_lets_it_in(serve: ServeWorld, mirror: Mirror, row: Row) -> None:
    """The rule, filter, tag, Python bound, hash, age, status or condition; whoever does what is said gets it held."""
    setting = Setting(
        serve(WORLD).url,
        {"packages": {"app": "latest"}, **deepcopy(row.index)},
        files={
            "hashed.txt": f"app==1.0 --hash=sha256:{'0' * 64}\n",
            "limited.txt": "-c limits.txt\n",
            "limits.txt": "deep<2\n",
        },
    )
    setting.write(mirror)
    mirror.run("sync", "--keep-going")
    before = files_below(mirror.folder)
    answer = objections(mirror, row.requirement)
    text = mirror.run("why-not", row.requirement).expect().stdout
    assert files_below(mirror.folder) == before
    assert set(answer) == {"index", "requirement", "is_kept", "verdict", "files", "conflicts", "remedy"}
    assert not answer["is_kept"]
    said = " ".join([answer["verdict"], *(file["reason"] for file in answer["files"])])
    for word in row.words:
        assert word in said, said
        assert word in text
    assert answer["remedy"].startswith(row.remedy)
    assert bool(answer["remedy"]) == bool(row.remedy)
    for steps, further in options(answer["remedy"]) if row.remedy else ():
        assert_held_after(mirror, row.requirement, setting, steps, further)


def assert_held_after(mirror: Mirror, requirement: str, setting: Setting, steps: list[str], further: list[str]) -> None:
    """In a mirror of its own, for what is published stays installable."""
    fresh = Mirror(mirror.folder.with_name("followed"))
    shutil.rmtree(fresh.folder, ignore_errors=True)
    changed = follow(setting, steps)
    changed.write(fresh)
    fresh.run("sync").expect()
    if further and not objections(fresh, requirement)["is_kept"]:
        follow(changed, further).write(fresh)
        fresh.run("sync").expect()
    answer = objections(fresh, requirement)
    assert answer["is_kept"], (steps, further, answer)


def test_what_is_held_is_not_kept_out(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    mirror.sync()
    answer = objections(mirror, "app")
    assert answer["is_kept"]
    assert answer["verdict"] == "it is held: app 2.0"
    assert "pypim why app" in answer["remedy"]


def test_of_very_many_files_only_some_are_named_for_each_reason(serve: ServeWorld, mirror: Mirror) -> None:
    """The verdict, which comes first, and the remedy, which comes last, stay on the screen."""
    native = [f"cp{minor}-cp{minor}-win_amd64" for minor in range(30, 60)]
    releases = (release(f"{n}.0", *(wheel(tag) for tag in native)) for n in range(4))
    mirror.configure(serve(World.of(project("many", *releases))).url, packages={"many": "latest"})
    lines = mirror.run("why-not", "many").expect().stdout.splitlines()
    assert len(lines) < 12
    assert "… 120 files in all (every one of them with --all)" in lines[-2].strip()
    assert any(" and 117 more" in line for line in lines)
    assert len(mirror.run("why-not", "many", "--all").expect().stdout.splitlines()) > 120
    (answer,) = mirror.run("why-not", "many", "--json").expect().document["indexes"]
    assert len(answer["files"]) == 120


def test_an_extra_that_nothing_asks_for_is_told(serve: ServeWorld, mirror: Mirror) -> None:
    setting = Setting(serve(WORLD).url, {"packages": {"app": "latest"}})
    setting.write(mirror)
    mirror.sync()
    assert objections(mirror, "middle[fast]")["verdict"] == "it is held: middle 1.0"
    answer = objections(mirror, "middle[slow]")
    assert answer["verdict"] == "it is held: middle 1.0, but nothing asks for its extras slow"
    assert_held_after(mirror, "slow", setting, *next(options(answer["remedy"])))


def test_an_extra_that_no_release_has_is_not_advised(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    mirror.sync()
    answer = objections(mirror, "middle[nosuch]")
    assert answer["verdict"] == "it is held: middle 1.0, which provides no extra nosuch"
    assert "nosuch" not in answer["remedy"]
    answer = objections(mirror, "middle[nosuch,slow]")
    assert answer["verdict"].endswith("which provides no extra nosuch, but nothing asks for its extras slow")
    assert 'Add "middle[slow]" = "==1.0"' in answer["remedy"]


def test_a_pin_keeps_other_releases_out_and_not_its_hash(serve: ServeWorld, mirror: Mirror) -> None:
    world = WORLD.having(project("hashed", "1.0", "2.0"))
    mirror.configure(serve(world).url, requirements=["asked.txt"])
    digest = world.file("hashed-1.0-py3-none-any.whl").sha256
    (mirror.folder / "asked.txt").write_text(f"hashed==1.0 --hash=sha256:{digest}\n")
    mirror.sync()
    answer = objections(mirror, "hashed==2.0")
    assert answer["verdict"].startswith("nothing needs hashed 2.0: 'hashed==1.0")
    assert "--hash" not in answer["remedy"]
    assert [row["reason"] for row in answer["files"]] == [""]


def test_what_is_named_as_newer_is_newer(serve: ServeWorld, mirror: Mirror) -> None:
    """One rule may take another release for each target; keep-latest caps only what takes every match."""
    two = {"all": {"python": ["3.12"], "platforms": ["linux", "windows"]}}
    versions = (release(text, wheel("py3-none-win_amd64")) for text in ("2.0", "4.0"))
    many = project("many", release("1.0"), *versions)
    mirror.configure(serve(many).url, targets=two, packages={"many": "latest"}, filters={"keep_latest": 1})
    mirror.sync()
    verdict = objections(mirror, "many==2.0")["verdict"]
    assert verdict == "nothing needs many 2.0: 'latest' (packages.many) takes many 1.0, 4.0, of which 4.0 is newer"


def test_the_command_that_is_named_does_it_too(serve: ServeWorld, tmp_path: Path) -> None:
    """It is complete: it can be pasted as it is."""
    folder = tmp_path / "told"
    pypim("sync", "app", "--to", folder, "--upstream", serve(WORLD).url, "--python", "3.12", "--platform", "linux")
    (answer,) = pypim("why-not", "app==1.0", "--to", folder, "--json").expect().document["indexes"]
    (command,) = commands(answer["remedy"])
    assert command == ["sync", "app==1.0", "--to", str(folder)]
    pypim(*command).expect()
    assert pypim("why-not", "app==1.0", "--to", folder, "--json").document["indexes"][0]["is_kept"]


CONFLICTS = World.of(
    project("app", "1.0", requires=["low", "high>=1", "other; python_version < '3.12'"]),
    project("low", "1.0", requires=["lib<2"]),
    project("high", release("1.0", requires=["lib>=1"]), release("2.0", requires=["lib>=2"])),
    project("other", "1.0", requires=["lib"]),
    project("lib", "1.0", "1.9", "2.0"),
    project("broken", release("1.0"), release("2.0", requires=["lib>=2", "low"])),
)


@pytest.mark.parametrize(
    ("requirement", "verdict", "causes"),
    [
        (
            "lib>=2",
            (
                "nothing needs lib 2.0: high 1.0 requires 'lib>=1' and is satisfied by lib 1.9, though it admits 2.0 "
                "too; low 1.0 requires 'lib<2' and is satisfied by lib 1.9"
            ),
            {"low 1.0 requires lib<2", "app 1.0 requires low"},
        ),
        (
            "high==2.0",
            "nothing needs high 2.0: app 1.0 requires 'high>=1' and is satisfied by high 1.0, though it admits 2.0 too",
            {"low 1.0 requires lib<2", "app 1.0 requires low", "high 2.0 requires lib>=2"},
        ),
    ],
)
def test_why_not_names_the_requirements_that_contradict_each_other(
    serve: ServeWorld, mirror: Mirror, requirement: str, verdict: str, causes: set[str]
) -> None:
    """A requirement admits it, and the resolution has taken another: forced in, this is what cannot be."""
    setting = Setting(serve(CONFLICTS).url, {"packages": {"app": "latest"}})
    setting.write(mirror)
    mirror.sync()
    answer = objections(mirror, requirement)
    assert answer["verdict"] == verdict
    (conflict,) = answer["conflicts"]
    assert set(conflict.pop("causes")) == causes
    assert conflict == {
        "root": "packages.app: latest",
        "release": "app 1.0",
        "environments": ["linux cpython 3.12 linux"],
    }
    text = mirror.run("why-not", requirement).expect().stdout
    assert "app 1.0 (packages.app: latest) cannot be installed with it: " in text
    assert "low 1.0 requires lib<2" in text
    assert_held_after(mirror, requirement, setting, *next(options(answer["remedy"])))


def test_why_not_tells_what_would_fit_and_is_not_needed(serve: ServeWorld, mirror: Mirror) -> None:
    """An older release contradicts nothing: the newer one is simply preferred."""
    mirror.configure(serve(CONFLICTS).url, packages={"high": "==1.0"})
    mirror.sync()
    answer = objections(mirror, "lib<2")
    assert answer["verdict"] == (
        "nothing needs lib 1.9: high 1.0 requires 'lib>=1' and is satisfied by lib 2.0, which is newer"
    )
    assert answer["conflicts"] == []


def test_why_not_tells_that_a_release_cannot_be_installed_at_all(serve: ServeWorld, mirror: Mirror) -> None:
    """Asking for it would stop the next sync; what it says of --keep-going is so."""
    mirror.configure(serve(CONFLICTS).url, packages={"broken": "==1.0"})
    mirror.sync()
    answer = objections(mirror, "broken==2.0")
    remedy, _, rest = answer["remedy"].partition(" It is held then with --keep-going only: ")
    assert "is asked for" not in rest, "that is known"
    for cause in ("broken 2.0 requires lib>=2", "broken 2.0 requires low", "low 1.0 requires lib<2"):
        assert cause in rest
    assert remedy.startswith('Write broken = ["==1.0", "==2.0"] in [indexes.main.packages]')
    mirror.configure(serve(CONFLICTS).url, packages={"broken": ["==1.0", "==2.0"]})
    mirror.run("sync").expect(9)
    mirror.run("sync", "--keep-going").expect(1)
    assert objections(mirror, "broken==2.0")["is_kept"]


def test_why_not_sees_what_the_next_sync_will_bring(serve: ServeWorld, mirror: Mirror) -> None:
    """Something new upstream, or a changed configuration: the answer is about the plan, not about yesterday."""
    server = serve(CONFLICTS)
    mirror.configure(server.url, packages={"high": "==1.0"})
    mirror.sync()
    server.world = CONFLICTS.releasing("lib", release("3.0"))
    assert objections(mirror, "lib==3.0")["verdict"] == "it can be had, and is not there yet"
    mirror.configure(server.url, packages={"high": "==1.0", "low": "latest"})
    answer = objections(mirror, "lib==1.9")
    assert answer["remedy"].startswith("Run `pypim sync")
    mirror.sync()
    assert objections(mirror, "lib==1.9")["is_kept"]
    assert objections(mirror, "lib==3.0")["is_kept"]


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


def test_why_not_knows_where_a_release_is_used(serve: ServeWorld, mirror: Mirror) -> None:
    """A marker that holds in some target brings nothing in where that target has no use for the release."""
    world = World.of(
        project("app", "1.0", requires=["middle; sys_platform == 'win32'"]),
        project("middle", "1.0", requires=["deep; os_name == 'posix'"]),
        project("deep", "1.0"),
    )
    targets = {"both": {"python": ["3.12"], "platforms": ["linux", "windows"]}}
    mirror.configure(serve(world).url, targets=targets, packages={"app": "latest"})
    mirror.sync()
    answer = objections(mirror, "deep")
    assert answer["verdict"].endswith("and that holds in no target that uses this release"), answer["verdict"]


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
