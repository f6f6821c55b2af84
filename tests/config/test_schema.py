"""The schema, the template and the effective configuration come from the same types as the validation."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.config import toml
from pypim.config.describe import TABLES, keys
from pypim.config.load import load_text
from pypim.config.schema import schema
from pypim.config.show import shown, shown_as_toml
from pypim.config.template import Draft, render


def test_every_key_is_described_and_none_is_unknown_to_the_schema() -> None:
    made = schema()
    for table in TABLES.values():
        definition = made["$defs"][table.__name__]
        assert definition["additionalProperties"] is False
        for key in keys(table):
            assert key.description, f"{table.__name__}.{key.name}"
            assert definition["properties"][key.name]["description"]
    assert made["$defs"]["UpstreamTable"]["required"] == ["url"]
    assert made["$defs"]["GroupTable"]["required"] == ["kind", "members"]
    assert "required" not in made["$defs"]["MirrorTable"], "it is meant where no kind is written"
    assert msgspec.json.encode(made)


def test_the_template_has_every_key_of_a_mirror_and_is_a_valid_configuration() -> None:
    draft = Draft(
        targets={"machines": {"python": ("3.12",), "platforms": ("linux",)}},
        index={"publish": "public"},
        packages={"uvicorn[standard]": ["latest"], "django": ["latest", "latest<5"]},
        patterns={"zope-.*": ["latest"]},
    )
    text = render(draft)
    config = load_text(text, Path("pypim.toml"))
    assert [root.text for root in config.chosen("main")[0].roots] == ["latest", "latest", "latest<5"]
    for name in ("store", "upstreams", "targets", "mirror", "dependencies", "filters"):
        for key in keys(TABLES[name]):
            assert any(line.removeprefix("# ").startswith(f"{key.name} = ") for line in text.splitlines()), key.name


def test_every_commented_line_of_the_template_is_valid_when_it_is_written_out() -> None:
    text = render(Draft(targets={"servers": {}}))
    names = {key.name for table in TABLES.values() for key in keys(table)}
    for line in text.splitlines():
        name = line.removeprefix("# ").partition(" = ")[0]
        if line.startswith("# ") and name in names:
            tomllib.loads(line.removeprefix("# "))


def test_what_is_shown_can_be_loaded_again_and_is_the_same(tmp_path: Path) -> None:
    text = '[targets.a]\npython = ["3.12"]\n[indexes.main]\ntargets = ["a"]\npublish = "p"\npackages.six = "latest"\n'
    config = load_text(text, tmp_path / "pypim.toml")
    again = load_text(shown_as_toml(config), tmp_path / "elsewhere" / "pypim.toml")
    assert shown(again) == shown(config)


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)


@settings(max_examples=100)
@given(st.text(st.characters(exclude_categories=["Cs"])), _VALUES)
def test_what_is_written_as_toml_is_read_as_the_same_value(name: str, value: Any) -> None:
    assert tomllib.loads(toml.pair(name, value, "a comment")) == {name: value}


@pytest.mark.parametrize("name", ["store", "filters"])
def test_examples_are_of_the_type_of_their_key(name: str) -> None:
    for key in keys(TABLES[name]):
        field = next(f for f in msgspec.structs.fields(TABLES[name]) if f.encode_name == key.name)
        msgspec.convert(key.example, field.type)
