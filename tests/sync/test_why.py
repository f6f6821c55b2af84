"""`why` shows every chain of requirements and rules that keeps a project."""

from __future__ import annotations

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror
from tests.worlds.world import World, project, release, sdist

WORLD = World.of(
    project("app", release("1.0"), release("2.0", requires=["middle[fast]>=1"]), release("3.0rc1")),
    project("middle", "1.0", requires=["deep", "fast-one; extra == 'fast'"]),
    project("deep", "1.0", "2.0", requires=["app"]),
    project("fast-one", "1.0"),
    project("other", "1.0", requires=["deep<2"]),
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


def test_a_chain_is_structured_and_says_its_extras_and_builds(serve: ServeWorld, mirror: Mirror) -> None:
    """Of every link: who asks, in which words, with which extra, for which release, and whether to build."""
    world = World.of(
        project("app", "1.0", requires=["middle[all]; python_version >= '3.12'"]),
        project("middle", "1.0", requires=["middle[fast]; extra == 'all'", "fast-one; extra == 'fast'"]),
        project("fast-one", release("1.0", sdist(builds_with=["tool"]))),
        project("tool", "1.0"),
        project("setuptools", "75.0"),
    )
    targets = {"some": {"python": ["3.11", "3.12"], "platforms": ["linux"]}}
    mirror.configure(serve(world).url, packages={"app": "latest"}, targets=targets)
    mirror.sync()
    (entry,) = mirror.run("why", "tool", "--json").expect().document["kept"]
    assert entry["is_asked_for"]
    assert entry["release"]["is_complete"]
    (chain,) = entry["release"]["chains"]
    assert chain["environments"] == ["some cpython 3.12 linux"]
    assert [(link["by"], link["extra"], link["is_build"], link["project"]) for link in chain["links"]] == [
        ("packages.app", "", False, "app"),
        ("app 1.0", "", False, "middle"),
        ("middle 1.0", "all", False, "middle"),
        ("middle 1.0", "fast", False, "fast-one"),
        ("fast-one 1.0", "", True, "tool"),
    ]
    assert (
        "packages.app: latest → app 1.0: middle[all]; python_version >= '3.12' → "
        "middle[all] 1.0: middle[fast]; extra == 'all' → middle[fast] 1.0: fast-one; extra == 'fast' → "
        "fast-one 1.0: tool (to build it)  [some cpython 3.12 linux]\n"
    ) in mirror.run("why", "tool").expect().stdout


def test_the_three_shortest_chains_of_each_root_are_shown_and_all_of_them_on_demand(
    serve: ServeWorld, mirror: Mirror
) -> None:
    """--json has those that were found in any case."""
    names = [f"p{number}" for number in range(5)]
    world = World.of(
        project("one", "1.0", requires=names),
        project("two", "1.0", requires=["p0"]),
        *(project(name, "1.0", requires=["end"]) for name in names),
        project("end", "1.0"),
    )
    mirror.configure(serve(world).url, packages={"one": "latest", "two": "latest"})
    mirror.sync()
    lines = mirror.run("why", "end").expect().stdout.splitlines()
    assert [line.partition(":")[0].strip() for line in lines[1:-1]] == ["packages.one"] * 3 + ["packages.two"]
    assert lines[-1] == "  … and 2 more (all of them with --all)"
    assert len(mirror.run("why", "end", "--all").expect().stdout.splitlines()) == 7
    for options in ((), ("--all",)):
        (entry,) = mirror.run("why", "end", "--json", *options).expect().document["kept"]
        assert len(entry["release"]["chains"]) == 6


def test_what_only_stays_is_said_to_be_asked_for_no_more(serve: ServeWorld, mirror: Mirror) -> None:
    """With `on-removal = "keep"`, and before the next sync: the reason it once had counts no longer."""
    url = serve(WORLD).url
    mirror.configure(url, packages={"app": "latest", "nobody": "latest"}, on_removal="keep")
    mirror.sync()
    mirror.configure(url, packages={"app": "latest"}, on_removal="keep")
    for _ in range(2):
        (entry,) = mirror.run("why", "nobody", "--json").expect().document["kept"]
        assert not entry["is_asked_for"]
        assert 'it stays until you take it out, for on-removal is "keep"' in mirror.run("why", "nobody").stdout
        assert mirror.run("why", "deep", "--json").document["kept"][0]["is_asked_for"]
        mirror.sync()
    mirror.configure(url, packages={"app": "latest"})
    assert "it stays until the next sync" in mirror.run("why", "nobody").expect().stdout
    mirror.sync()
    mirror.run("why", "nobody").expect(3)


def test_what_lines_of_a_file_have_together_is_told_of_them(serve: ServeWorld, mirror: Mirror) -> None:
    """By itself b has b 2.0 and c 2.0; beside a, which needs c<2, it has b 1.0 and c 1.0."""
    world = World.of(
        project("a", "1.0", requires=["c<2"]),
        project("b", release("2.0", requires=["c>=2"]), release("1.0", requires=["c"])),
        project("c", "1.0", "2.0"),
    )
    mirror.configure(serve(world).url, requirements=["requirements.txt"])
    (mirror.folder / "requirements.txt").write_text("a\nb\n")
    mirror.sync()
    told = {**chains(mirror.run("why", "b", "--json").document), **chains(mirror.run("why", "c", "--json").document)}
    lines = {
        name: [[link.rpartition("requirements.txt:")[2] for link in one] for one in all_of_it]
        for name, all_of_it in told.items()
    }
    assert lines == {
        "b 1.0": [["2: b"]],
        "b 2.0": [["2: b"]],
        "c 1.0": [["1: a", "a 1.0: c<2"], ["2: b", "b 1.0: c"]],
        "c 2.0": [["2: b", "b 2.0: c>=2"]],
    }


def test_what_is_only_kept_is_told_as_it_came(serve: ServeWorld, mirror: Mirror) -> None:
    """With `on-removal = "keep"`: what once needed it, and no resolution of what is asked for now."""
    world = World.of(project("app", "1.0", requires=["lib<2"]), project("lib", "1.0", "2.0"), project("other", "1.0"))
    index = serve(world).url
    mirror.configure(index, packages={"app": "latest", "other": "latest"}, on_removal="keep")
    mirror.sync()
    mirror.configure(index, packages={"other": "latest", "lib": "latest"}, on_removal="keep")
    mirror.sync()
    document = mirror.run("why", "lib", "--json").expect().document
    assert [entry["is_asked_for"] for entry in document["kept"]] == [False, True]
    assert chains(document) == {
        "lib 1.0": [["packages.app: latest", "app 1.0: lib<2"]],
        "lib 2.0": [["packages.lib: latest"]],
    }
