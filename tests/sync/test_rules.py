"""Rules name releases: `packages`, `patterns`, requirements files, and what a yanked or quarantined release means."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, added, releases_in, wheels
from tests.worlds.world import World, project, release, sdist, wheel

DJANGO = World.of(
    project(
        "django",
        release("4.1"),
        release("4.2", requires=["sqlparse", "old-only"]),
        release("5.0"),
        release("5.1", requires=["sqlparse", "asgiref>=3"]),
        release("5.2rc1"),
    ),
    project("sqlparse", "0.4", "0.5"),
    project("asgiref", "2.0", "3.8"),
    project("old-only", "1.0"),
    project("never-asked-for", "1.0"),
)


def test_a_list_of_rules_names_exactly_those_releases_and_what_they_need(serve: ServeWorld, mirror: Mirror) -> None:
    """`django = ["latest", "latest<5"]`."""
    mirror.configure(serve(DJANGO).url, packages={"Django": ["latest", "latest<5"]})
    report = mirror.plan()
    assert releases_in(report) == ["asgiref 3.8", "django 4.2", "django 5.1", "old-only 1.0", "sqlparse 0.5"]
    mirror.sync()
    assert mirror.published() == {
        "asgiref": wheels("asgiref 3.8"),
        "django": wheels("django 4.2", "django 5.1"),
        "old-only": ["old_only-1.0-py3-none-any.whl"],
        "sqlparse": wheels("sqlparse 0.5"),
    }


@pytest.mark.parametrize(
    ("rule", "versions"),
    [
        ("latest", ["5.1"]),
        ("1 latest", ["5.1"]),
        ("3 latest", ["4.2", "5.0", "5.1"]),
        ("2 latest<5.1", ["4.2", "5.0"]),
        ("99 latest", ["4.1", "4.2", "5.0", "5.1"]),
        (">=4.2,<5.1", ["4.2", "5.0"]),
        ("*", ["4.1", "4.2", "5.0", "5.1"]),
        ("5.0", ["5.0"]),
        ("5.2rc1", ["5.2rc1"]),
        ("==4.*", ["4.1", "4.2"]),
    ],
)
def test_a_rule_takes_the_releases_that_it_says(
    serve: ServeWorld, mirror: Mirror, rule: str, versions: list[str]
) -> None:
    """`latest`, `N latest`, either followed by a specifier; a specifier set; a version."""
    mirror.configure(serve(DJANGO).url, packages={"django": rule}, dependencies={"follow": False})
    assert added(mirror.plan()) == wheels(*(f"django {version}" for version in versions))


def test_a_pattern_names_projects_by_their_whole_normalised_name(serve: ServeWorld, mirror: Mirror) -> None:
    """The full list of an upstream's projects is only asked for when a pattern needs it."""
    world = World.of(project("Zope.Interface", "5.0", "6.0"), project("zope.event", "4.0"), project("zopefoundry", "1"))
    server = serve(world)
    mirror.configure(server.url, packages={"zopefoundry": "latest"})
    mirror.plan()
    assert not server.asked("/simple/")
    mirror.configure(server.url, patterns={"zope-.*": "latest"})
    mirror.sync()
    assert mirror.published() == {
        "zope-event": ["zope_event-4.0-py3-none-any.whl"],
        "zope-interface": ["zope_interface-6.0-py3-none-any.whl"],
    }
    assert len(server.asked("/simple/")) == 1


def test_requirements_files_bring_roots_constraints_and_further_files(serve: ServeWorld, mirror: Mirror) -> None:
    """`requirements = ["requirements.txt"]`: -r and -c lines, markers and extras count as for pip."""
    mirror.configure(serve(DJANGO).url, requirements=["requirements.txt"])
    mirror.folder.joinpath("requirements.txt").write_text(
        '-r more/web.txt   # relative to this file\n-c limits.txt\nnever-asked-for ; sys_platform == "win32"\n'
    )
    mirror.folder.joinpath("more").mkdir()
    mirror.folder.joinpath("more", "web.txt").write_text("django >= 5.1 \\\n  , < 5.2\n")
    mirror.folder.joinpath("limits.txt").write_text("asgiref<3.8\nsqlparse==0.4\nnever-asked-for==7\n")
    error = mirror.refuses(status=9)
    assert "asgiref" in error["message"]
    assert "django 5.1" in error["message"]
    mirror.folder.joinpath("limits.txt").write_text("sqlparse==0.4\n")
    assert releases_in(mirror.plan()) == ["asgiref 3.8", "django 5.1", "sqlparse 0.4"]


def test_lines_that_mean_nothing_to_a_mirror_are_named(serve: ServeWorld, mirror: Mirror) -> None:
    """Options for an installer are not followed, and not skipped in silence: their place, and what to use instead."""
    mirror.configure(serve(DJANGO).url, requirements=["requirements.txt"])
    lines = ["--index-url https://index.example/simple", "--pre", "sqlparse", "--no-binary :all:"]
    mirror.folder.joinpath("requirements.txt").write_text("\n".join(lines) + "\n")
    outcome = mirror.run("sync").expect()
    for line, option, remedy in ((1, "--index-url", ""), (2, "--pre", "prereleases"), (4, "--no-binary", "formats")):
        (note,) = (text for text in outcome.stderr.splitlines() if f"requirements.txt:{line}: " in text)
        assert option in note
        assert remedy in note
    assert mirror.published() == {"sqlparse": wheels("sqlparse 0.5")}


def test_hashes_of_a_requirements_file_admit_no_other_file(serve: ServeWorld, mirror: Mirror) -> None:
    """pip's hash-checking mode: a file whose hash is not named is no candidate."""
    world = World.of(
        project("app", release("1.0", wheel(), sdist(), wheel("cp312-cp312-manylinux_2_17_x86_64")), release("2.0"))
    )
    mirror.configure(serve(world).url, requirements=["locked.txt"])
    locked = mirror.folder / "locked.txt"
    locked.write_text(f"app==1.0 --hash=sha256:{world.file('app-1.0-py3-none-any.whl').sha256}\n")
    assert added(mirror.plan()) == wheels("app 1.0")
    locked.write_text(f"app==1.0 --hash=sha256:{'0' * 64}\n")
    error = mirror.refuses(status=4)
    assert "hash" in error["message"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_bytes_are_held_to_the_hashes_where_the_page_lists_none(
    serve: ServeWorld, mirror: Mirror, algorithm: str
) -> None:
    """Any one of several will do; other bytes are refused, named, and not published."""
    world = World.of(project("app", "1.0", "2.0"))
    server = serve(world, hashes="none", pypi_shaped=False)
    content = world.file("app-1.0-py3-none-any.whl").content
    right, wrong = hashlib.new(algorithm, content).hexdigest(), hashlib.new(algorithm, b"other").hexdigest()
    mirror.configure(server.url, requirements=["locked.txt"])
    locked = mirror.folder / "locked.txt"
    locked.write_text(f"app==1.0 --hash={algorithm}:{wrong}\n")
    error = mirror.refuses(status=7)
    assert error["code"] == "hash-not-allowed"
    for text in ("app-1.0-py3-none-any.whl", f"{algorithm}:{wrong}", world.file("app-1.0-py3-none-any.whl").sha256):
        assert text in error["message"]
    assert not mirror.tree.exists()
    locked.write_text(f"app==1.0 --hash={algorithm}:{wrong} --hash={algorithm}:{right}\n")
    mirror.sync()
    assert mirror.published() == {"app": wheels("app 1.0")}


def test_held_bytes_that_a_requirement_no_longer_allows_are_not_published(serve: ServeWorld, mirror: Mirror) -> None:
    """They are asked for again; what comes is held to the hashes as well."""
    world = World.of(project("app", "1.0"), project("lib", "1.0"))
    server = serve(world, hashes="none", pypi_shaped=False)
    mirror.configure(server.url, requirements=["locked.txt"])
    locked = mirror.folder / "locked.txt"
    locked.write_text("app==1.0\nlib\n")
    mirror.sync()
    locked.write_text(f"app==1.0 --hash=sha256:{'0' * 64}\nlib\n")
    assert mirror.plan()["plan"]["fetch"][0]["file"]["allowed_hashes"] == [f"sha256:{'0' * 64}"]
    mirror.refuses(status=7)
    mirror.sync("--keep-going", status=1)
    assert mirror.published() == {"lib": wheels("lib 1.0")}


def test_a_yanked_file_is_taken_for_an_exact_pin_only(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 592; and what is published says that it is yanked, and why."""
    world = World.of(project("app", "1.0", release("2.0", yanked="broken on Tuesdays"), release("3.0", yanked=True)))
    server = serve(world)
    mirror.configure(server.url, packages={"app": "latest"})
    assert added(mirror.plan()) == wheels("app 1.0")
    mirror.configure(server.url, packages={"app": ["2.0", "latest", "==3.0"]})
    mirror.sync()
    assert [file.get("yanked", False) for file in mirror.page("app")["files"]] == [False, "broken on Tuesdays", True]
    mirror.configure(server.url, packages={"app": ">=2.0"})
    assert "yanked" in mirror.refuses(status=9)["message"]


def test_a_quarantined_project_offers_nothing_and_is_named(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 792: it is not skipped in silence, and its page is there, empty."""
    world = World.of(
        project("app", "1.0"), project("bad", "1.0", status="quarantined", status_reason="malware"), project("x", "1")
    )
    server = serve(world)
    mirror.configure(server.url, packages={"app": "latest", "bad": "latest"})
    error = mirror.refuses(status=9)
    assert "bad" in error["message"]
    assert "quarantined" in error["message"]
    report = mirror.sync("--keep-going", status=1)
    assert [problem["project"] for problem in report["problems"]] == ["bad"]
    assert mirror.published() == {"app": wheels("app 1.0"), "bad": []}
    assert mirror.page("bad")["project-status"] == {"status": "quarantined", "reason": "malware"}


def test_each_target_has_its_own_newest_release(serve: ServeWorld, mirror: Mirror) -> None:
    """The newest release may want a newer Python than one of the targets has."""
    world = World.of(
        project("app", release("1.0", requires_python=">=3.8"), release("2.0", requires_python=">=3.12")),
        project("win", release("1.0", wheel("cp312-cp312-win_amd64")), release("2.0", wheel("cp312-cp312-win_arm64"))),
    )
    targets = {
        "old": {"python": ["3.9"], "platforms": ["linux"]},
        "new": {"python": ["3.12"], "platforms": ["windows", "macos"]},
    }
    mirror.configure(serve(world).url, packages={"app": "latest", "win": "latest"}, targets=targets)
    report = mirror.sync()
    assert mirror.published() == {
        "app": wheels("app 1.0", "app 2.0"),
        "win": ["win-1.0-cp312-cp312-win_amd64.whl"],
    }
    # A root may be meant for some of the targets only; the others are named, and are no failure.
    assert {problem["project"] for problem in report["problems"]} == {"win"}


def test_what_a_requirements_file_names_is_installed_together(serve: ServeWorld, mirror: Mirror) -> None:
    """Its lines are resolved as one besides each by itself, as `pip install -r` does; apart they may not fit."""
    world = World.of(
        project("a", "1.0", requires=["c<2"]),
        project("b", release("2.0", requires=["c>=2"]), release("1.0", requires=["c"])),
        project("c", "1.0", "2.0"),
    )
    mirror.configure(serve(world).url, requirements=["requirements.txt"])
    file = mirror.folder / "requirements.txt"
    file.write_text("a\nb\n")
    assert releases_in(mirror.plan()) == ["a 1.0", "b 1.0", "b 2.0", "c 1.0", "c 2.0"]
    mirror.sync()
    index = ("--default-index", f"{mirror.tree.as_uri()}/simple/")
    options = ("--no-config", "--no-cache", "--no-python-downloads", "--no-header", "--no-annotate", "--quiet")
    command = (sys.executable, "-m", "uv", "pip", "compile", *options, *index, "--python-version", "3.12", str(file))
    compiled = subprocess.run(command, capture_output=True, text=True, check=True)
    assert compiled.stdout.split() == ["a==1.0", "b==1.0", "c==1.0"]
    file.write_text("a\nb>=2\n")
    report = mirror.sync()
    (warning,) = report["warnings"]
    assert "requirements.txt: its lines cannot be installed together" in warning
    assert "c<2" in warning
