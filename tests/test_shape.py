"""The shape of the house: rules that no linter knows, held by reading the code itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pypim.ports
from pypim.core import errors

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "pypim"
MODULES = sorted(SOURCE.rglob("*.py"))
MOST_LINES_OF_A_FILE = 420
MOST_LINES_OF_A_FUNCTION = 55
BANNED = re.compile(r"^(get_|do_|handle_|process_)|Manager$|Helper$|^utils$|^common$|^base$")
WRITES = re.compile(
    r"\.write_bytes\(|\.write_text\(|\bos\.(rename|replace|remove|unlink|mkdir|makedirs|rmdir|link|symlink|truncate)\("
    r"|\bshutil\.|\.unlink\(|(?<!atomic)\.rename\(|\.mkdir\(|\.touch\(|\bopen\([^)]*[\"'][wax]b?\+?[\"']"
)
SQL = re.compile(r"\b(SELECT .+ FROM|INSERT INTO|DELETE FROM|UPDATE \w+ SET|CREATE TABLE|CREATE INDEX)\b")


def identify(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_a_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a file begins with its one idea, said in a sentence"
    assert len(text.splitlines()) <= MOST_LINES_OF_A_FILE


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_functions_are_short_and_names_say_what_things_are(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assert not BANNED.search(node.name), f"{node.name} in {path}:{node.lineno}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MOST_LINES_OF_A_FUNCTION, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_only_atomic_writes_and_renames(path: Path) -> None:
    if path in {SOURCE / "store" / "atomic.py", SOURCE / "store" / "linking.py"}:
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert not WRITES.search(line), f"{path}:{number} writes: {line.strip()}"


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_sql_stands_in_sql_files_only(path: Path) -> None:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert not SQL.search(line), f"{path}:{number} holds SQL: {line.strip()}"


def ports() -> list[str]:
    files = Path(pypim.ports.__file__).parent.glob("*.py")
    return [
        node.name
        for path in files
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(parent, ast.Name) and parent.id == "Protocol" for parent in node.bases)
    ]


def test_every_port_has_a_contract_suite() -> None:
    suites = "\n".join(path.read_text() for path in (ROOT / "tests" / "contracts").glob("test_*.py"))
    missing = [port for port in ports() if not re.search(rf"\b{port}\b", suites)]
    assert not missing, f"no contract suite names {missing}"


def families() -> list[type[errors.PypimError]]:
    found: list[type[errors.PypimError]] = []
    waiting: list[type[errors.PypimError]] = [errors.PypimError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return found


def test_every_error_has_its_own_code_and_its_familys_exit_status() -> None:
    codes = [kind.code for kind in families()]
    assert len(codes) == len(set(codes))
    for kind in families():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
        assert kind.exit_status in {1, 2, 3, 4, 5, 6, 7, 8, 9}
