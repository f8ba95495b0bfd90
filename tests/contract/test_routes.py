"""Every route of every service has the roles and the scope of contracts/routes.yaml."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from fastapi.routing import APIRoute, iter_route_contexts
from shell.access.auth import issue_token
from shell.access.scopes import ROLES, Role
from shell.audit import audits
from shell.http import docs_page
from shouwang.runtime.services import SERVICES
from starlette.routing import Mount, Route

REPOSITORY = Path(__file__).resolve().parents[2]
# The API's own description; it holds no data.
DESCRIPTION = {"/openapi.json", "/docs", *(f"/docs/{name}" for name in docs_page.FILES)}
# Claims that give each role a scope, and the roles whose scope needs a claim.
NATION: dict[str, Any] = {"division": "000000"}
USCC = "52530302MJ00000017"
CLAIMS: dict[Role, dict[str, Any]] = {
    "source": {"source": "urn:cn:exchange:530300:psb"},
    "provider": {"provider": USCC},
    "visitor": {"provider": USCC, **NATION},
    "assessor": NATION,
    "officer": NATION,
    "approver": NATION,
    "auditor": NATION,
    "resident": {},
    "admin": {},
    "service": {},
}
BOUND = {role: claims for role, claims in CLAIMS.items() if claims}
# Modules of the infrastructure that hold routes.
ROUTES_OF_SHELL = ("shell.audit.routes", "shell.platform_routes")
# Files that read the bounds of a token themselves, with the reason. All others call `scope_of`.
READS_CLAIMS = {
    "services/ingestion/src/ingestion/register/senders.py": "finds how a source has to sign; it gives no access",
}


class Served(NamedTuple):
    service: str
    method: str
    route: APIRoute

    @property
    def name(self) -> str:
        return f"{self.method} {self.route.path}"

    @property
    def entry(self) -> dict[str, Any]:
        """Its entry in the file; empty if it has none."""
        file = described()
        found: dict[str, Any] = file[self.service].get(self.name) or file["platform"].get(self.name) or {}
        return found


@cache
def described() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((REPOSITORY / "contracts/routes.yaml").read_text())
    return found


def app_of(service: str) -> Any:
    return importlib.import_module(f"{service}.main").app


@cache
def served() -> tuple[Served, ...]:
    return tuple(
        Served(service, method, context.original_route)
        for service in SERVICES
        for context in iter_route_contexts(app_of(service).routes)
        if isinstance(context.original_route, APIRoute)
        for method in sorted(context.original_route.methods)
    )


def with_callers() -> list[Served]:
    return [one for one in served() if "roles" in one.entry]


# -- the file


def test_the_file_describes_every_route_and_no_other() -> None:
    assert [f"{one.service} {one.name}" for one in served() if not one.entry] == []
    there = {(one.service, one.name) for one in served()}
    described_only = [
        f"{service} {name}"
        for service, routes in described().items()
        for name in routes
        if service != "platform" and (service, name) not in there
    ]
    assert described_only == []


def test_only_described_routes_answer() -> None:
    """An app may mount its static files and its own description, and no other app."""
    for service in SERVICES:
        for context in iter_route_contexts(app_of(service).routes):
            route = context.original_route
            if isinstance(route, Mount):
                assert (service, route.path) == ("console", "/static")
            elif not isinstance(route, APIRoute):
                assert isinstance(route, Route)
                assert route.path in DESCRIPTION


def test_an_entry_has_one_statement_about_the_scope_with_its_reason() -> None:
    for one in served():
        kinds = {"scope", "unscoped", "open"} & one.entry.keys()
        assert len(kinds) == 1, one.name
        assert len(one.entry[kinds.pop()]) > 15, one.name
        assert ("open" in one.entry) == ("roles" not in one.entry), one.name


def test_an_entry_with_roles_states_its_audit_act_or_why_it_has_none() -> None:
    for one in served():
        stated = {"audit", "unaudited"} & one.entry.keys()
        assert len(stated) == ("roles" in one.entry), one.name
        assert len(one.entry.get("unaudited", "a reason")) > 6, one.name


@pytest.mark.parametrize("service", SERVICES)
def test_the_file_names_the_roles_that_a_route_allows(service: str) -> None:
    for one in with_callers():
        if one.service == service != "console":
            assert roles_required(one.route.dependant) == set(one.entry["roles"]), one.name
        if one.service == service == "console":
            assert set(one.entry["roles"]) == set(importlib.import_module("console.domain.names").ROLES), one.name


@pytest.mark.parametrize("service", SERVICES)
def test_a_route_without_a_caller_requires_none(service: str) -> None:
    for one in served():
        if one.service == service and "open" in one.entry:
            assert roles_required(one.route.dependant) == set(), one.name


def roles_required(dependant: Any) -> set[str]:
    found: set[str] = set()
    for each in dependant.dependencies:
        found |= set(getattr(each.call, "roles", ())) | roles_required(each)
    return found


# -- the code


@pytest.mark.parametrize("service", SERVICES)
def test_a_route_with_a_caller_uses_the_scope_or_is_a_reasoned_exception(service: str) -> None:
    for one in with_callers():
        if one.service == service:
            uses = uses_scope(one.route.endpoint, set())
            assert uses == ("scope" in one.entry), f"{one.name}: {'uses' if uses else 'does not use'} scope_of"


def uses_scope(function: Any, seen: set[Any]) -> bool:
    """Whether one of our functions calls `scope_of`, directly or through our functions that it names."""
    if not isinstance(function, FunctionType) or function in seen or not is_ours(function.__module__):
        return False
    seen.add(function)
    names = set(names_in(function.__code__))
    if names & {"scope_of", "may_see", "need_area"} - {function.__name__}:
        return True
    for name in names:
        found = function.__globals__.get(name)
        if isinstance(found, ModuleType) and is_ours(found.__name__):
            if any(uses_scope(getattr(found, each, None), seen) for each in names):
                return True
        elif uses_scope(found, seen):
            return True
    return False


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in (*SERVICES, "common") or module in ROUTES_OF_SHELL


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def test_services_do_not_read_the_bounds_of_a_token_themselves() -> None:
    found = {
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "services").glob("*/src/**/*.py")
        if re.search(r"\bcaller\.(division|source|provider)\b", path.read_text())
    }
    assert found == set(READS_CLAIMS)


@pytest.mark.parametrize("service", SERVICES)
def test_a_route_writes_the_audit_row_that_the_file_states(service: str) -> None:
    """Its code calls `audits.append` with the act, or with the beginning of the act (`f"quarantine_{...}"`)."""
    for one in with_callers():
        if one.service != service:
            continue
        appending = appends_audit(one.route.endpoint, set())
        assert bool(appending) == ("audit" in one.entry), f"{one.name}: {'writes' if appending else 'writes no'} row"
        texts = {text for function in appending for text in texts_in(function.__code__)}
        for act in filter(None, one.entry.get("audit", "").split(", ")):
            parts = (act, f"{act.partition('_')[0]}_")
            assert texts & set(parts), f"{one.name} writes no row with the act {act}"


def appends_audit(function: Any, seen: set[Any]) -> list[FunctionType]:
    """The functions on the way from a route to `audits.append`; none if the route never calls it."""
    if not isinstance(function, FunctionType) or function in seen or not is_ours(function.__module__):
        return []
    seen.add(function)
    names = set(names_in(function.__code__))
    if function.__globals__.get("audits") is audits and {"audits", "append"} <= names:
        return [function]
    for name in names:
        found = function.__globals__.get(name)
        inner = [found]
        if isinstance(found, ModuleType) and is_ours(found.__name__):
            inner = [getattr(found, each, None) for each in names]
        for each in inner:
            if way := appends_audit(each, seen):
                return [function, *way]
    return []


def texts_in(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from texts_in(constant)
        elif isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):
            yield from (text for text in constant if isinstance(text, str))


# -- the answers


async def answer(client: httpx.AsyncClient, one: Served, role: Role, claims: dict[str, Any]) -> tuple[int, str | None]:
    """Status and code of a request that is refused before any database call."""
    path = re.sub(r"\{[^}]*\}", "00000000-0000-0000-0000-000000000000", one.route.path)
    headers = {"authorization": f"Bearer {issue_token(role, **claims)}"}
    got = await client.request(one.method, path, headers=headers)
    is_problem = "problem+json" in got.headers.get("content-type", "")
    return got.status_code, got.json()["code"] if is_problem else None


def client_of(service: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app_of(service)), base_url=f"http://{service}")


def refused(one: Served, code: str | None) -> tuple[int, str | None]:
    """A page of the console sends the user to sign in; every other route answers 403 with a code."""
    return (303, None) if one.service == "console" and one.route.path in ("/", "/policies") else (403, code)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_token_that_leaves_out_its_bound_is_refused_by_every_route(service: str) -> None:
    async with client_of(service) as client:
        for one in (one for one in with_callers() if one.service == service):
            for role in set(one.entry["roles"]) & BOUND.keys():
                for left_out in CLAIMS[role]:
                    claims = {name: value for name, value in CLAIMS[role].items() if name != left_out}
                    code = f"{'area' if left_out == 'division' else left_out}_required"
                    answered = await answer(client, one, role, claims)
                    assert answered == refused(one, code), f"{one.name} as {role} without {left_out}"


@pytest.mark.parametrize("service", SERVICES)
async def test_every_other_role_is_refused_by_every_route(service: str) -> None:
    async with client_of(service) as client:
        for one in (one for one in with_callers() if one.service == service):
            for role in sorted(set(ROLES) - set(one.entry["roles"])):
                status, code = await answer(client, one, role, CLAIMS[role])
                expected, _ = refused(one, None)
                assert status == expected, f"{one.name} as {role}"
                assert code is not None or expected == 303, f"{one.name} as {role}"
