"""Describe the error answers in the OpenAPI of a service: application/problem+json (RFC 9457) in one shared schema."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

PROBLEM_JSON: Final = "application/problem+json"
_TEXT: Final = {"type": "string"}
_PROBLEM: Final[dict[str, Any]] = {
    "title": "ProblemDetails",
    "description": "An error answer of RFC 9457. `code` is a stable name of the error; `problems` names single faults.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:shouwang:problem:malformed"]},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": _TEXT,
        "detail": _TEXT,
        "problems": {
            "type": "array",
            "maxItems": 100,
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901, from the place: /query, /path, /body …"},
                    "code": _TEXT,
                    "detail": _TEXT,
                },
            },
        },
    },
}
_CONTENT: Final = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
_ALWAYS: Final = (401, 403, 404, 429, 503)
_WITH_INPUT: Final = (400, 422)
_WITH_WRITING: Final = (409, 413, 415)
_PLATFORM: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_REPLACED: Final = ("HTTPValidationError", "ValidationError")  # FastAPI's own form of a 422


def describe_problems(app: FastAPI) -> None:
    """Let `app.openapi()` list the error answers of every operation, instead of FastAPI's own 422. The routes of the
    platform (_PLATFORM) stay as they are."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        if "ProblemDetails" not in document.setdefault("components", {}).setdefault("schemas", {}):
            _describe(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(document: dict[str, Any]) -> None:
    components = document["components"]
    for name in _REPLACED:
        components["schemas"].pop(name, None)
    components["schemas"]["ProblemDetails"] = _PROBLEM
    statuses = sorted({*_ALWAYS, *_WITH_INPUT, *_WITH_WRITING})
    components["responses"] = {
        str(status): {"description": HTTPStatus(status).phrase, "content": _CONTENT} for status in statuses
    }
    for path, operations in document["paths"].items():
        if path not in _PLATFORM:
            for method, operation in operations.items():
                operation["responses"] = _answers(method, operation)


def _answers(method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Return the answers of one operation by status, completed by the error answers that its method and input allow. An
    error answer with its own description keeps it."""
    found = {status: answer for status, answer in operation["responses"].items() if status != "422"}
    named = [*_ALWAYS]
    if operation.get("parameters") or operation.get("requestBody"):
        named += _WITH_INPUT
    if method != "get":
        named += _WITH_WRITING
    for status in map(str, sorted(named)):
        known = found.get(status)
        found[status] = {**known, "content": _CONTENT} if known else {"$ref": f"#/components/responses/{status}"}
    return dict(sorted(found.items()))
