"""JSON as people write it by hand: comments, trailing commas, bare keys and single quotes are read as JSON5 does.

The other rare forms of JSON5 (hexadecimal, signs, infinite numbers, line continuations) are read too. The text is
translated token by token into plain JSON, so that Python's own reader judges the structure.
"""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(
    r"(?P<blank>(?:\s|\ufeff|//[^\n]*|/\*.*?\*/)+)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|Infinity|NaN|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)(?![\w$]))"
    r"|(?P<word>[\w$]+(?:-[\w$]+)*)"
    r"|(?P<mark>[][{}:,])",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(\r\n|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_WORDS = frozenset({"true", "false", "null"})


def loads(text: str) -> object:
    """Read a document. Raises ValueError with the line for one that is neither JSON nor JSON5."""
    tokens: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"line {text.count(chr(10), 0, at) + 1}: unexpected {text[at]!r}")
        at = token.end()
        found = token.group()
        if token.lastgroup == "blank":
            # Line feeds stay, so that the reader's line numbers are those of the file.
            tokens.append("\n" * found.count("\n"))
        elif token.lastgroup == "mark":
            _drop_trailing_comma(tokens, found)
            tokens.append(found)
        else:
            tokens.append(_translated(token.lastgroup or "", found))
    try:
        return json.loads("".join(tokens))
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from None


def _translated(kind: str, found: str) -> str:
    if kind == "string":
        return json.dumps(_ESCAPE.sub(_unescaped, found[1:-1]))
    if kind == "number":
        return _number(found)
    return found if found in _WORDS else json.dumps(found)


def _drop_trailing_comma(tokens: list[str], closing: str) -> None:
    if closing not in {"]", "}"}:
        return
    for place in range(len(tokens) - 1, -1, -1):
        if tokens[place].strip():
            if tokens[place] == ",":
                del tokens[place]
            return


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code in {"\n", "\r\n", "\u2028", "\u2029"}:
        return ""
    return _ESCAPED.get(code, code)


def _number(text: str) -> str:
    """As JSON writes it; what JSON has no number for is a string, which no configuration has a use for."""
    sign = "-" if text.startswith("-") else ""
    digits = text.lstrip("+-")
    if digits in {"Infinity", "NaN"}:
        return json.dumps(sign + digits)
    if digits[:2].lower() == "0x":
        return sign + str(int(digits, 16))
    if re.fullmatch(r"\d+", digits):
        return sign + str(int(digits))
    return sign + repr(float(digits))
