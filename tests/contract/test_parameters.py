"""Every parameter that a route takes has a bound, every body is strict, and every error answer is a problem."""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from re import _constants, _parser
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from shell.access.auth import issue_token
from shell.http.params import Body, Day, Instant, Json, PastDay
from shouwang.runtime.services import SERVICES

ALL = SERVICES
WIDEST = 20_000  # characters that a pattern may admit where no maxLength is given
BOUNDED_FORMATS = {"uuid", "binary"}  # a file has its own limits
PROBES = {"/healthz", "/readyz", "/metrics"}
RESULTS = "/v1/persons/{id}/assessments"


@cache
def app_of(service: str) -> FastAPI:
    found: FastAPI = importlib.import_module(f"{service}.main").app
    return found


@cache
def document(service: str) -> dict[str, Any]:
    return app_of(service).openapi()


def operations(service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in document(service)["paths"].items():
        for method, operation in found.items():
            yield f"{method} {path}", operation


def admits_control(tokens: Any) -> bool:
    """Whether a text that fits the parsed pattern can hold NUL or a digit of another script."""
    return any(_admits(code, value) for code, value in tokens)


def _admits(code: Any, value: Any) -> bool:
    if code is _constants.IN:
        negated = value[0][0] is _constants.NEGATE
        holds = any(
            (kind is _constants.LITERAL and part == 0)
            or (kind is _constants.RANGE and part[0] == 0)
            or kind is _constants.CATEGORY
            for kind, part in value
        )
        return holds != negated
    if code in (_constants.ANY, _constants.NOT_LITERAL, _constants.CATEGORY):
        return True
    if code in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
        return admits_control(value[2])
    if code is _constants.SUBPATTERN:
        return admits_control(value[3])
    if code is _constants.BRANCH:
        return any(admits_control(option) for option in value[1])
    return code is _constants.LITERAL and value == 0


def text_fault(schema: dict[str, Any]) -> str | None:
    if {"enum", "const"} & set(schema) or schema.get("format") in BOUNDED_FORMATS:
        return None
    pattern = schema.get("pattern")
    if pattern is None:
        return "text without a pattern"
    parsed = _parser.parse(pattern)
    codes = [code for code, _ in parsed]
    if codes[0] is not _constants.AT or codes[-1] is not _constants.AT:
        return "a pattern without ^ and $"
    if admits_control(parsed):
        return "a pattern that admits control characters"
    if "maxLength" not in schema and parsed.getwidth()[1] > WIDEST:
        return "text without a maximum length"
    return None


def faults(schema: dict[str, Any], place: str, root: dict[str, Any], seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Parts of a schema that admit a value without a bound."""
    if (ref := schema.get("$ref")) is not None:
        name = ref.rsplit("/", 1)[1]
        if name not in seen:
            yield from faults(root["components"]["schemas"][name], place, root, (*seen, name))
        return
    for union in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(union, ()):
            yield from faults(option, place, root, seen)
    kind, has = schema.get("type"), set(schema)
    if kind == "string" and (fault := text_fault(schema)):
        yield f"{place}: {fault}"
    in_range = has & {"minimum", "exclusiveMinimum"} and has & {"maximum", "exclusiveMaximum"}
    if kind in ("integer", "number") and "enum" not in has and not in_range:
        yield f"{place}: a number without a range"
    if kind == "array":
        if "maxItems" not in has:
            yield f"{place}: a list without a maximum length"
        yield from faults(schema.get("items", {}), f"{place}/*", root, seen)
    for name, part in schema.get("properties", {}).items():
        yield from faults(part, f"{place}/{name}", root, seen)
    if isinstance(more := schema.get("additionalProperties"), dict):
        if "maxProperties" not in has:
            yield f"{place}: a map without a maximum size"
        yield from faults(more, f"{place}/*", root, seen)


@pytest.mark.parametrize("service", ALL)
def test_every_parameter_has_a_pattern_or_a_range(service: str) -> None:
    found = []
    for name, operation in operations(service):
        for parameter in operation.get("parameters", ()):
            place = f"{name} {parameter['in']}:{parameter['name']}"
            found += faults(parameter["schema"], place, document(service))
        for content in operation.get("requestBody", {}).get("content", {}).values():
            found += faults(content["schema"], f"{name} body", document(service))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"type": "string"}, "x: text without a pattern"),
        ({"type": "string", "maxLength": 5}, "x: text without a pattern"),
        ({"type": "string", "pattern": "^[^a]{1,5}$"}, "x: a pattern that admits control characters"),
        ({"type": "string", "pattern": r"^\d{4}$"}, "x: a pattern that admits control characters"),
        ({"type": "string", "pattern": r"^(a|.)$"}, "x: a pattern that admits control characters"),
        ({"type": "string", "pattern": "[0-9]{4}"}, "x: a pattern without ^ and $"),
        ({"type": "string", "pattern": "^[a-z]*$"}, "x: text without a maximum length"),
        ({"type": "integer", "minimum": 0}, "x: a number without a range"),
        ({"type": "array", "items": {}}, "x: a list without a maximum length"),
        ({"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}]}, "x/a: a number without a range"),
        ({"type": "object", "additionalProperties": {"enum": [1]}}, "x: a map without a maximum size"),
    ],
)
def test_a_missing_bound_is_named(schema: dict[str, Any], fault: str) -> None:
    assert list(faults(schema, "x", {})) == [fault]


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, with those of their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for part in get_args(annotation):
        yield from models(part)


@pytest.mark.parametrize("service", ALL)
def test_every_body_is_strict(service: str) -> None:
    """A request body is a `Body`, with all models in it: `false` is no number there, and `0` is no day."""
    lax = []
    for module_name, model in _body_models(service):
        if not model.model_config.get("strict"):
            lax.append(f"{module_name}: {model.__name__}")
    assert not lax


def _body_models(service: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Models that stand in the request bodies of the OpenAPI, found by their name among all models that are loaded."""
    named = set()
    for _, operation in operations(service):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            named |= {ref.rsplit("/", 1)[1] for ref in re.findall(r"#/components/schemas/[\w-]+", str(content))}
    for model in _descendants(BaseModel):
        if model.__module__.split(".")[0] == service and model.__name__ in {n.removesuffix("-Input") for n in named}:
            for part in models(model):
                yield part.__module__, part


def _descendants(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _descendants(cls)


def test_a_strict_body_is_found() -> None:
    assert {model.__name__ for _, model in _body_models("ingestion")} >= {"DayReport", "Registration", "Entry"}


@pytest.mark.parametrize("service", ALL)
def test_every_error_answer_is_a_problem(service: str) -> None:
    for name, operation in operations(service):
        if name.split()[1] in PROBES:
            continue
        errors = {status for status in operation["responses"] if status[0] in "45"}
        assert {"401", "403", "404", "503"} <= errors, name
        has_input = operation.get("parameters") or operation.get("requestBody")
        assert ("422" in errors) == bool(has_input), name
        for status in errors:
            answer = operation["responses"][status]
            if "$ref" in answer:
                answer = document(service)["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
            assert list(answer["content"]) == ["application/problem+json"], f"{name} {status}"
    assert "HTTPValidationError" not in document(service)["components"]["schemas"]


class Given(Body):
    day: Day | None = None
    since: PastDay | None = None
    at: Instant | None = None
    count: int = 0
    form: Json = Field(default={})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"day": 0}, "day_form"),
        ({"day": "0"}, "day_form"),
        ({"day": "20261122"}, "day_form"),
        ({"day": "2026-02-30"}, "day_unknown"),
        ({"day": "1970-01-01"}, "day_out_of_range"),
        ({"day": "9999-12-31"}, "day_out_of_range"),
        ({"since": "1899-12-31"}, "day_out_of_range"),
        ({"at": 0}, "instant_form"),
        ({"at": "2026-11-22T09:00:00"}, "instant_form"),
        ({"at": "2026-02-30T09:00:00Z"}, "day_unknown"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "instant_out_of_range"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "instant_out_of_range"),
        ({"count": False}, "int_type"),
        ({"count": "1"}, "int_type"),
        ({"form": {"a": ["b", {"c\x00": 1}]}}, "control_character"),
        ({"form": {"a": "\ud800"}}, "control_character"),
        ({"form": {"a": float("nan")}}, "not_finite"),
        ({"form": {"a": 2**63}}, "number_too_large"),
    ],
)
def test_a_value_of_another_form_is_refused(body: dict[str, Any], code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Given).validate_python(body)
    assert [fault["type"] for fault in refused.value.errors()] == [code]


def test_a_value_of_the_right_form_is_taken() -> None:
    given = Given.model_validate({"day": "2026-11-22", "since": "1998-01-01", "at": "2026-11-22T08:00:00+08:00"})
    assert str(given.at) == "2026-11-22 00:00:00+00:00"
    assert Given.model_validate({"form": {"list": [1, 2.5, None, True, "一行\n两行"]}}).form


@pytest.mark.parametrize(
    ("service", "method", "path", "body", "pointer"),
    [
        ("assessment", "GET", f"{RESULTS}?on=0", None, "/query/on"),
        (
            "assessment",
            "GET",
            "/v1/persons/{id}/assessments?known_at=0001-01-01T00:00:00%2B14:00",
            None,
            "/query/known_at",
        ),
        ("dispatch", "GET", "/v1/providers/a%00b/feed", None, "/path/uscc"),
        ("dispatch", "GET", "/v1/tasks?provider=%00", None, "/query/provider"),
        ("dispatch", "GET", "/v1/tasks?item=%00", None, "/query/item"),
        ("dispatch", "GET", "/v1/tasks?division=%00", None, "/query/division"),
        ("dispatch", "GET", "/v1/providers?after=%00", None, "/query/after"),
        ("dispatch", "POST", "/v1/tasks/{id}/accept", {"at": "9999-12-31T23:59:59-14:00"}, "/body/at"),
        ("identification", "GET", "/v1/policies?after=%00", None, "/query/after"),
        ("identification", "GET", "/v1/persons/{id}/adverse?after=1~%00", None, "/query/after"),
        ("ingestion", "GET", "/v1/feeds/%00", None, "/path/feed"),
        ("ingestion", "GET", "/v1/gaps?after=%00%202026-11-22", None, "/query/after"),
        ("subsidy", "GET", "/v1/batches?month=0000-01", None, "/query/month"),
        ("subsidy", "GET", "/v1/batches?state=%00", None, "/query/state"),
        ("subsidy", "GET", "/v1/persons/{id}/ledger?after=%00", None, "/query/after"),
        ("supervision", "GET", "/v1/alerts?check=%00", None, "/query/check"),
        ("supervision", "GET", "/v1/persons/{id}/steps?after=%00", None, "/query/after"),
        ("supervision", "GET", "/v1/statistics?division=530302&on=1970-01-01", None, "/query/on"),
    ],
)
async def test_a_hostile_parameter_is_refused_with_its_place(
    service: str, method: str, path: str, body: dict[str, Any] | None, pointer: str
) -> None:
    """Before any store is asked: none is open here."""
    path = path.replace("{id}", "11111111-1111-8111-8111-111111111111")
    headers = {"authorization": f"Bearer {issue_token('admin')}"}
    if service == "dispatch" and method == "POST":
        headers = {"authorization": f"Bearer {issue_token('provider', provider='52530302MJ00000017')}"}
    transport = httpx.ASGITransport(app_of(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["pointer"] for fault in answer.json()["problems"]] == [pointer]
