"""Python's types in the words of TOML or JSON, and the fields of a Struct with what is said of each."""

from __future__ import annotations

import ast
import inspect
import textwrap
from enum import Enum, StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notation(Enum):
    """Whose words are used."""

    TOML = {"text": "string", "many": "list", "table": "table", "nothing": ""}  # noqa: RUF012 - an Enum's value
    JSON = {"text": "string", "many": "list", "table": "object", "nothing": "null"}  # noqa: RUF012 - an Enum's value


class Field(NamedTuple):
    """One field of a Struct as it is encoded."""

    name: str
    kind: Any
    description: str
    is_optional: bool
    """Whether it is left out when it has its default value."""


_PLAIN = {int: "integer", float: "number", bool: "true or false", Any: "anything", object: "anything"}


def type_words(kind: Any, notation: Notation) -> str:  # noqa: ANN401 - a type may be any object
    """A type as people say it, with links to the Structs it names."""
    origin, arguments = get_origin(kind), get_args(kind)
    words = notation.value
    if origin is Annotated:
        return type_words(arguments[0], notation)
    if origin in {Union, UnionType}:
        parts = [type_words(part, notation) for part in arguments]
        return " or ".join(part for part in dict.fromkeys(parts) if part)
    if origin is Literal:
        return " or ".join(f'`"{choice}"`' for choice in arguments)
    if origin in {tuple, list}:
        return f"{words['many']} of {_plural(type_words(arguments[0], notation))}"
    if origin is dict:
        return f"{words['table']} of {_plural(type_words(arguments[1], notation))} by name"
    return _simple_words(kind, notation)


def _simple_words(kind: Any, notation: Notation) -> str:  # noqa: ANN401 - a type may be any object
    words = notation.value
    if kind in {None, NoneType}:
        return words["nothing"]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(f'`"{member.value}"`' for member in kind)
    return _PLAIN.get(kind, words["text"])


def _plural(words: str) -> str:
    for singular, plural in (("list of", "lists of"), ("string", "strings"), ("table of", "tables of")):
        if words.startswith(singular):
            return plural + words.removeprefix(singular)
    return words


def fields_of(struct: type[msgspec.Struct], names: Mapping[str, Any]) -> list[Field]:
    """The encoded fields in order; `names` resolves what a module imports for its types only."""
    hints = get_type_hints(struct, localns=dict(names), include_extras=True)
    told = _told(struct)
    is_optional = bool(struct.__struct_config__.omit_defaults)
    required = len(struct.__struct_fields__) - len(struct.__struct_defaults__)
    return [
        Field(
            name=encoded,
            kind=hints[name],
            description=told.get(name, ""),
            is_optional=is_optional and number >= required,
        )
        for number, (name, encoded) in enumerate(
            zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
        )
    ]


@cache
def _told(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """The text that stands below each field in the code."""
    body = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and isinstance(after, ast.Expr):
            value = ast.literal_eval(after.value) if isinstance(after.value, ast.Constant) else ""
            found[before.target.id] = " ".join(str(value).split())
    return found
