"""The description of the API as an OpenAPI 3.1 document, made from the table of its endpoints."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from pypim import __version__
from pypim.web.api_shapes import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypim.web.api_endpoint import Endpoint

Description = dict[str, Any]
"""An OpenAPI document."""

_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_NAME = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
_WORD = "^[A-Za-z0-9][A-Za-z0-9._+!-]*$"
_PARAMETERS = {
    "index": ("The name of an index.", _NAME),
    "project": ("The name of a project, in any spelling of it.", _NAME),
    "version": ("A version of the project.", _WORD),
    "filename": ("The name of a distribution file.", _WORD),
    "id": ("The id of a token, which is no secret.", "^[0-9a-f]{12}$"),
}
"""What a part of a path means, and what it looks like."""


def document_of(endpoints: Iterable[Endpoint], server: str) -> bytes:
    """The document as JSON; `server` is the path that those of the endpoints begin with."""
    table = list(endpoints)
    types = [one.answer for one in table] + [one.body for one in table if one.body is not None] + [Fault]
    found, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schemas = dict(zip(map(repr, types), found, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    document: Description = {
        "openapi": "3.1.0",
        "info": {
            "title": "pypim",
            "version": __version__,
            "description": "What the command line of pypim can do, over HTTP.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "User and password, or __token__ and a token.",
                },
                "token": {"type": "http", "scheme": "bearer", "description": "A token."},
            },
        },
    }
    return msgspec.json.encode(document)


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    credentials: list[dict[str, list[str]]] = [{"basic": []}, {"token": []}]
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "security": credentials if endpoint.needs_credentials else [{}, *credentials],
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(endpoint.body)),
            "content": {"application/json": {"schema": schemas[repr(endpoint.body)]}},
        }
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    words = re.findall(r"\w+", endpoint.path)
    return "_".join([endpoint.method.lower(), *words])


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETERS[name][0],
            "schema": {"type": "string", "maxLength": 300, "pattern": _PARAMETERS[name][1]},
        }
        for name in _PARAMETER.findall(endpoint.path)
    ]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    _, components = msgspec.json.schema_components([endpoint.query], ref_template=_REFERENCE)
    shape = components[endpoint.query.__name__]
    found = []
    for name, schema in shape["properties"].items():
        description = schema.pop("description", "")
        found.append(
            {
                "name": name,
                "in": "query",
                "required": name in shape["required"],
                "description": description,
                "schema": schema,
            }
        )
    return found


def _responses(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {
        "description": endpoint.summary,
        "content": {"application/json": {"schema": schemas[repr(endpoint.answer)]}},
    }
    if endpoint.next is not None:
        operation, parameters = endpoint.next
        good["links"] = {operation: {"operationId": operation, "parameters": parameters}}
    responses: dict[str, Any] = {str(endpoint.status): good}
    for status in sorted(endpoint.faults):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {
                "application/json": {"schema": schemas[repr(Fault)]},
                "text/plain": {"schema": {"type": "string"}},
            },
        }
    return responses
