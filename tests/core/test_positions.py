"""Key paths and lines agree with what tomllib reads, whatever the spelling of the document."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.positions import KeyPath, positions

_TEXT = """\
# a comment with [brackets] and = signs
title = "a # b"   # c

[indexes.main]
targets = [
    "one",   # [x]
    'two',
    ["nested", { deep = 1, "quoted key".x = "]" }],
]
kind = "mirror"

[indexes."a.b".'c d']
text = \"\"\"
[not.a.header]
x = 1 \\\"\"\" still
\"\"\"\"\"
after.dotted."key" = 3
[[many]]
name = 1
[many.sub]
deep = true
[[many]]
name = 2
literal = '''
]'''
last = {}
"""


def test_lines_of_headers_keys_elements_and_nested_values() -> None:
    found = positions(_TEXT)
    expected: dict[KeyPath, int] = {
        ("title",): 2,
        ("indexes",): 4,
        ("indexes", "main"): 4,
        ("indexes", "main", "targets"): 5,
        ("indexes", "main", "targets", 0): 6,
        ("indexes", "main", "targets", 1): 7,
        ("indexes", "main", "targets", 2, 1, "quoted key", "x"): 8,
        ("indexes", "main", "kind"): 10,
        ("indexes", "a.b", "c d", "text"): 13,
        ("indexes", "a.b", "c d", "after", "dotted", "key"): 17,
        ("many", 0, "name"): 19,
        ("many", 0, "sub", "deep"): 21,
        ("many", 1): 22,
        ("many", 1, "literal"): 24,
        ("many", 1, "last"): 26,
    }
    assert {path: found.line(path) for path in expected} == expected


def test_what_has_no_line_of_its_own_has_that_of_what_is_around_it() -> None:
    found = positions("[indexes.main]\nkind = 'mirror'\n")
    assert found.line(("indexes", "main", "filters", "exclude")) == 1
    assert found.line(("upstreams",)) is None
    assert positions("").line(("x",)) is None


def _all_paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    below: set[KeyPath] = {path} if path else set()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        below |= _all_paths(inner, (*path, key))
    return below


_KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=0, max_size=6)
_LEAVES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12),
    st.integers(-999, 999),
    st.booleans(),
    st.sampled_from([1.5, -0.25]),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


def _string(text: str) -> str:
    """A TOML string, in one of its four spellings as the content allows."""
    if "'" not in text and "\n" not in text and "\t" not in text:
        return f"'{text}'"
    if "'" not in text:
        return f"'''\n{text}'''"
    if "\n" in text:
        return '"""\n' + text.replace("\\", "\\\\").replace('"""', '""\\"').replace("\t", "\\t") + '"""'
    return json.dumps(text, ensure_ascii=False)


def _render(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return "[\n" + "".join(f"  {_render(item)}, # ]\n" for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {_render(v)}" for k, v in value.items()) + " }"
    return str(value)


@settings(max_examples=100)
@given(st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=4))
def test_every_path_that_tomllib_reads_has_a_line_and_no_other(tables: dict[str, dict[str, Any]]) -> None:
    text = ""
    for name, table in tables.items():
        text += f"\n[{json.dumps(name, ensure_ascii=False)}] # = [\n"
        text += "".join(f"{json.dumps(k, ensure_ascii=False)}={_render(v)}\n" for k, v in table.items())
    assert positions(text).paths() == _all_paths(tomllib.loads(text))
