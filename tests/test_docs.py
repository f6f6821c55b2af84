"""The documentation tells the truth: what it shows is run, parsed or looked up, and what exists is in it."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin
from urllib.parse import unquote, urlsplit

import click
import msgspec
import pytest

from bench.page import PAGE, kept, page
from pypim.cli.main import program
from pypim.config.describe import TABLES, keys
from pypim.config.load import load_text
from pypim.config.locate import preset_url
from pypim.core import errors
from tests.sync.mirror import Mirror, pypim
from tests.worlds.server import WorldServer
from tests.worlds.world import FileSpec, World, project, release, sdist, wheel
from tools import reference
from tools.documents import DOCUMENTS, NAMES, STRUCTS, structs_in
from tools.samples import SAMPLES, kinds
from tools.wording import fields_of

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
GENERATED = sorted(reference.pages())
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> Iterator[str]:
    return (text for kind, text in FENCE.findall(path.read_text()) if kind == language)


def shown(language: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{name_of(path)}-{number}")
        for path in PAGES
        for number, text in enumerate(blocks(path, language), 1)
    ]


# --- the reference --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", GENERATED)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    """`make docs` writes it; this is what it would write now."""
    assert (reference.FOLDER / name).read_text() == reference.pages()[name], "run `make docs`"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its whole name."""
    waiting: list[tuple[str, click.Command]] = [("pypim", program)]
    while waiting:
        name, command = waiting.pop(0)
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None
                waiting.append((f"{name} {child}", found))


def test_every_command_and_option_is_in_the_reference() -> None:
    text = (reference.FOLDER / "commands.md").read_text()
    sections = dict(re.findall(r"^## (pypim[^\n]*)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    for name, command in commands():
        section = text if name == "pypim" else sections[name]
        general = text.partition("## pypim sync")[0]
        for option in command.params:
            if isinstance(option, click.Option):
                for spelling in (*option.opts, *option.secondary_opts):
                    assert spelling in section + general, f"{name} {spelling}"
                    assert (option.help or "") in section + general or option.name == "version"


def test_every_key_is_in_the_reference() -> None:
    text = (reference.FOLDER / "configuration.md").read_text()
    for kind in TABLES.values():
        for key in keys(kind):
            assert f"| `{key.name}` |" in text
            assert key.description, f"{key.name} has a meaning"


def test_every_error_and_exit_status_is_in_the_reference() -> None:
    text = (reference.FOLDER / "errors.md").read_text()
    examples = {type(sample) for sample in SAMPLES}
    for kind in kinds():
        assert f"`{kind.code}`" in text
        assert kind.exit_status in reference.EXIT_STATUSES
        is_family = errors.PypimError in (kind, kind.__base__)
        assert is_family or kind in examples or kind is errors.InvalidUsage, f"{kind.__name__} has an example"
    statuses = (reference.FOLDER / "commands.md").read_text()
    assert all(f"| {status} |" in statuses for status in reference.EXIT_STATUSES)


# --- what is shown --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    """Relative ones, to a file and to a heading in it; every how-to page is linked from somewhere."""
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        address = urlsplit(target)
        if address.scheme:
            continue
        found = (path.parent / unquote(address.path)).resolve() if address.path else path
        assert found.exists(), f"{name_of(path)} links to {target}"
        if address.fragment:
            assert address.fragment in anchors(found), f"{name_of(path)} links to {target}"


def anchors(path: Path) -> set[str]:
    """The anchors that headings get."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (path.parent / unquote(urlsplit(target).path)).resolve()
        for path in PAGES
        for target in LINK.findall(path.read_text())
    }
    lost = [name_of(page) for page in PAGES if page not in linked and page.name != "README.md"]
    assert [name for name in lost if not name.startswith("docs/decisions/")] == []


def command_lines() -> list[Any]:
    """Every `pypim …` of a shell block, of an indented block, and of the examples in help texts."""
    lines: list[tuple[str, str]] = []
    for path in PAGES:
        text = path.read_text().replace("\\\n", " ")
        shell = [line for block in blocks(path, "sh") for line in block.splitlines()]
        indented = re.findall(r"^    (pypim .*)$", FENCE.sub("", text), re.MULTILINE)
        if path.name not in GENERATED:
            lines += [(name_of(path), line) for line in (*shell, *indented)]
    for name, command in commands():
        lines += [(name, line) for line in (command.epilog or "").splitlines()[::2]]
    return [
        pytest.param(words, id=f"{where}: {shlex.join(words)}") for where, line in lines for words in pypim_calls(line)
    ]


def pypim_calls(line: str) -> Iterator[list[str]]:
    """The arguments of each call in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    calls: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            calls.append([])
        else:
            calls[-1].append(word)
    yield from (call[1:] for call in calls if call and call[0] == "pypim")


@pytest.mark.parametrize("words", command_lines())
def test_every_command_line_that_is_shown_can_be_parsed(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As click would, up to but not including the run."""
    for name in ("requirements.txt", "pyproject.toml", "uv.lock", "bandersnatch.conf", "morgan.ini", "command.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    command: click.Command = program
    context: click.Context | None = None
    while isinstance(command, click.Group):
        context = command.make_context(None, words, parent=context)
        _, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found
    command.make_context(None, words, parent=context)


@pytest.mark.parametrize("text", shown("toml"))
def test_every_configuration_that_is_shown_is_one(text: str, tmp_path: Path) -> None:
    load_text(text, tmp_path / "pypim.toml")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_block_says_what_it_is(path: Path) -> None:
    """So that none is left out of these tests by accident."""
    known = {"sh", "toml", "sql", "nginx", "caddy", "ini", "text"}
    assert {kind for kind, _ in FENCE.findall(path.read_text())} <= known


@pytest.mark.parametrize(("language", "name"), [("nginx", "nginx.conf"), ("caddy", "Caddyfile")])
def test_the_page_shows_the_configurations_that_are_tested(language: str, name: str) -> None:
    assert (ROOT / "deploy" / name).read_text() in list(blocks(ROOT / "docs/how-to/serve.md", language))


def test_no_page_names_the_host_of_the_preset() -> None:
    """It is written down once, in a library; mirrors of anything else are as good."""
    host = urlsplit(preset_url()).hostname or ""
    texts = [*PAGES, *(ROOT / "deploy").iterdir(), *(ROOT / "changelog.d").glob("*.md"), *(ROOT / "tools").glob("*.*")]
    assert [name_of(path) for path in texts if host in path.read_text()] == []


def test_the_changelog_can_be_built() -> None:
    """Every fragment is in it, as a sentence for users and without a made-up number."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0.1.0"]
    draft = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "(#" not in draft
    for fragment in (ROOT / "changelog.d").glob("*.md"):
        assert fragment.read_text().split("\n")[0] in draft


# --- a small mirror, with everything that can be asked about --------------------------------------------------------
WORLD = World.of(
    project(
        "flask",
        release("1.0", yanked="a mistake"),
        release("2.0", requires=["markupsafe>=1", "click[fast]"]),
    ),
    project(
        "click",
        release("8.0", wheel(), FileSpec(filename="..%2fclick.whl"), requires=['speed; extra == "fast"']),
    ),
    project("markupsafe", release("3.0", wheel("cp312-cp312-manylinux_2_28_x86_64")), status="archived"),
    project("speed", "1.0", files=(sdist(),)),
    project("gone", "1.0"),
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """A mirror that was synced twice: a project is no longer wanted, and one that is wanted does not exist."""
    mirror = Mirror(tmp_path_factory.mktemp("asked"))
    wanted = {"flask": ["latest", "1.0"]}
    with WorldServer(WORLD) as server:
        mirror.configure(server.url, packages={**wanted, "gone": "latest"})
        mirror.sync()
        mirror.configure(server.url, packages={**wanted, "absent": "latest"})
        mirror.sync("--keep-going", status=1)
        mirror.run("metadata", "--all").expect()
        yield mirror


@pytest.mark.parametrize("statement", shown("sql"))
def test_every_query_has_an_answer(statement: str, asked: Mirror) -> None:
    connection = sqlite3.connect(f"{(asked.store / 'catalog.sqlite').as_uri()}?mode=ro", uri=True)
    try:
        assert connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_the_shell_of_sqlite_reads_the_catalog(asked: Mirror, tmp_path: Path) -> None:
    """The two calls that the page shows, the second with the raw answer of the upstream."""
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed (tools/debian.sh installs it)")
    *_, raw = blocks(ROOT / "docs/how-to/query.md", "sh")
    script = raw.replace("data/catalog.sqlite", str(asked.store / "catalog.sqlite"))
    done = subprocess.run(["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert '"name":"flask"' in done.stdout.replace(" ", "")


def test_there_are_at_least_ten_queries() -> None:
    assert len(list(blocks(ROOT / "docs/how-to/query.md", "sql"))) >= 10


# --- JSON -----------------------------------------------------------------------------------------------------------
GRAPH = "plan --graph FILE.json"
JSON_CALLS: dict[str, tuple[str, ...]] = {
    "sync": ("--keep-going",),
    "plan": ("--keep-going",),
    "update": (),
    "metadata": ("--keep-going",),
    "list": ("flask",),
    "status": (),
    "status --completeness": (),
    "why": ("markupsafe",),
    "why-not": ("flask<2",),
    "prove": (),
    "verify": (),
    "prune": ("--dry-run",),
    "config check": (),
    "doctor": (),
    "completion": ("bash",),
}


ACCESS_CALLS: dict[str, tuple[str, ...]] = {
    "user add": ("alice", "--password-stdin"),
    "user password": ("alice", "--password-stdin"),
    "token create": ("--user", "alice", "--may", "read", "--expires", "1 day"),
    "token list": (),
    "token revoke": ("{}",),
    "user list": (),
    "user remove": ("alice",),
}


@pytest.mark.parametrize("command", JSON_CALLS)
def test_documents_have_the_keys_that_the_reference_lists(command: str, asked: Mirror) -> None:
    outcome = asked.run(*command.split(), *JSON_CALLS[command], "--json")
    matches(outcome.document, DOCUMENTS[command], command)


def test_init_and_errors_have_the_keys_that_the_reference_lists(tmp_path: Path) -> None:
    matches(pypim("init", tmp_path, "--json").expect().document, DOCUMENTS["init"], "init")
    matches(pypim("init", tmp_path, "--json").document, DOCUMENTS["an error"], "an error")
    assert {*JSON_CALLS, *ACCESS_CALLS, "init", "an error", "adopt", "doctor --rebuild", GRAPH} == set(DOCUMENTS)


def test_a_rebuild_has_the_keys_that_the_reference_lists(asked: Mirror) -> None:
    (asked.store / "catalog.sqlite").unlink()
    found = asked.run("doctor", "--rebuild", "--json").document
    matches(found, DOCUMENTS["doctor --rebuild"], "doctor --rebuild")
    assert found["rebuilt"]["indexes"]


def test_an_adoption_has_the_keys_that_the_reference_lists(asked: Mirror, tmp_path: Path) -> None:
    (tmp_path / "flask-3.0-py3-none-any.whl").write_bytes(b"")
    found = asked.run("adopt", tmp_path, "--offline", "--dry-run", "--json").document
    matches(found, DOCUMENTS["adopt"], "adopt")
    assert found["report"]["unmatched"]


def test_users_and_tokens_have_the_keys_that_the_reference_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an order in which each finds what it is about."""
    (tmp_path / "pypim.toml").write_text('[indexes.internal]\nkind = "hosted"\n')
    created = ""
    for command, words in ACCESS_CALLS.items():
        monkeypatch.setattr(sys, "stdin", io.StringIO("a long password\n"))
        arguments = [word.format(created) for word in words]
        found = pypim("-c", tmp_path / "pypim.toml", *command.split(), *arguments, "--json").expect().document
        matches(found, DOCUMENTS[command], command)
        created = found["kept"]["id"] if command == "token create" else created


def test_the_graph_of_a_plan_has_the_keys_that_the_reference_lists(asked: Mirror, tmp_path: Path) -> None:
    asked.run("plan", "--keep-going", "--graph", tmp_path / "plan.json").expect(1)
    matches(json.loads((tmp_path / "plan.json").read_text()), DOCUMENTS[GRAPH], GRAPH)


def test_every_object_of_a_document_is_described() -> None:
    reached = {kind for members in DOCUMENTS.values() for member in members.values() for kind in structs_in(member)}
    assert reached == set(STRUCTS.values())


def matches(value: object, kind: object, where: str) -> None:
    """Compare a JSON value with its type, all the way down."""
    if isinstance(kind, dict):
        assert isinstance(value, dict)
        assert value.keys() == kind.keys(), where
        for name, inner in kind.items():
            matches(value[name], inner, f"{where}.{name}")
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        assert isinstance(value, dict), where
        fields = {field.name: field for field in fields_of(kind, NAMES)}
        assert value.keys() <= fields.keys(), where
        assert {name for name, field in fields.items() if not field.is_optional} <= value.keys(), where
        for name, inner in value.items():
            matches(inner, fields[name].kind, f"{where}.{name}")
    elif get_origin(kind) is tuple:
        assert isinstance(value, list), where
        for item in value:
            matches(item, get_args(kind)[0], where)
    elif structs_in(kind):
        matches(value, next(iter(structs_in(kind))), where)
    else:
        plain = msgspec.convert(value, kind)
        assert plain is not msgspec.UNSET, where


# --- what the how-to pages promise ----------------------------------------------------------------------------------
def test_a_quiet_sync_speaks_only_of_what_is_missing(asked: Mirror, tmp_path: Path) -> None:
    """Cron sends what is printed: nothing while all is well, and a name where something is missing."""
    missing = asked.run("-q", "sync", "--keep-going").expect(1)
    assert "absent" in missing.stdout
    complete = Mirror(tmp_path)
    complete.configure((asked.tree / "simple").as_uri(), packages={"speed": "latest"})
    first, second = complete.run("-q", "sync"), complete.run("-q", "sync")
    assert [(outcome.status, outcome.stdout, outcome.stderr) for outcome in (first, second)] == [(0, "", "")] * 2


def test_files_of_another_tree_are_not_downloaded_again(asked: Mirror, tmp_path: Path) -> None:
    """They are recognised by name and sha256: first the old tree is read, then the index."""
    mirror = Mirror(tmp_path)
    with WorldServer(WORLD) as server:
        mirror.configure(server.url, packages={"flask": "latest", "gone": "latest"})
        mirror.run("sync", "--keep-going", "--upstream", str(asked.tree / "simple")).expect(1)
        assert not server.requests
        assert mirror.sync()["fetched_files"] == 1
        assert [request.path.rpartition("/")[2] for request in server.asked("*.whl")] == ["gone-1.0-py3-none-any.whl"]


def test_a_command_line_of_another_tool_is_converted(tmp_path: Path) -> None:
    """The page shows how: the command as text, then `init --from`."""
    script = next(text for text in blocks(ROOT / "docs/how-to/migrate.md", "sh") if "command.txt" in text)
    echo = script.splitlines()[0]
    subprocess.run(["sh", "-ec", echo], cwd=tmp_path, check=True, timeout=60)
    made = pypim("init", tmp_path, "--from", tmp_path / "command.txt", "--json").expect().document
    assert made["converted_from"] == "simple-pypi-mirror"
    config = load_text((tmp_path / "pypim.toml").read_text(), tmp_path / "pypim.toml")
    assert config.chosen("main")[0].filters.formats == ("wheel",)


_CASES = re.compile(r"[Cc]ases? (\d+(?:(?:, | and |, and | to )\d+)*)")


def _quoted_cases() -> set[int]:
    """The numbers of docs/cases.md that tests quote: "case 5", "Cases 10 and 11", "cases 3 to 6"."""
    found: set[int] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for match in _CASES.finditer(path.read_text()):
            numbers = [int(number) for number in re.findall(r"\d+", match[1])]
            found.update(range(numbers[0], numbers[-1] + 1) if " to " in match[1] else numbers)
    return found


def test_every_tricky_case_has_a_test() -> None:
    text = (ROOT / "docs" / "cases.md").read_text()
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert numbers == list(range(1, 83))
    assert set(numbers) - _quoted_cases() == set()


def test_the_page_about_performance_shows_what_the_rows_found() -> None:
    found = kept()
    assert found, "no row was ever kept: python -m bench ROW --keep"
    assert PAGE.read_text() == page(found), "write it anew: python -m bench.page"
