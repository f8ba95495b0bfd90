"""The scope of a caller: never everything because a token leaves something out."""

from typing import Any

import pytest
from common.errors import NotAllowed
from shell.access.scopes import Areas, Caller, Everything, OwnPerson, OwnProvider, OwnSource, Role, scope_of

CITY, COUNTY, TOWN, FOREIGN = "530300", "530302", "530302001", "140702"


@pytest.mark.parametrize("role", ["officer", "approver", "assessor", "auditor"])
def test_a_role_that_works_in_an_area_is_refused_without_one(role: Role) -> None:
    for division in (None, ""):
        with pytest.raises(NotAllowed) as refused:
            scope_of(Caller("li", role, division=division))
        assert refused.value.code == "area_required"
    assert scope_of(Caller("li", role, division=COUNTY)) == Areas(COUNTY)
    assert scope_of(Caller("li", role, division="000000")) == Everything()


@pytest.mark.parametrize(
    ("role", "claims", "code"),
    [
        ("source", {"division": "000000"}, "source_required"),
        ("provider", {"division": "000000"}, "provider_required"),
        ("visitor", {"division": "000000"}, "provider_required"),
        ("visitor", {"provider": "52"}, "area_required"),
    ],
)
def test_a_bound_of_another_kind_does_not_replace_the_missing_one(role: Role, claims: Any, code: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        scope_of(Caller("li", role, **claims))
    assert refused.value.code == code


def test_a_source_a_provider_and_a_resident_see_what_is_theirs_whatever_area_they_name() -> None:
    assert scope_of(Caller("x", "source", division="000000", source="urn:a")) == OwnSource("urn:a")
    assert scope_of(Caller("x", "provider", division="000000", provider="52")) == OwnProvider("52")
    assert scope_of(Caller("x", "resident", division="000000", person="p")) == OwnPerson("p")
    assert scope_of(Caller("x", "visitor", division=COUNTY, provider="52")) == OwnProvider("52", COUNTY)


@pytest.mark.parametrize("role", ["admin", "service"])
def test_the_platforms_own_roles_are_bounded_by_an_area_if_they_name_one(role: Role) -> None:
    assert scope_of(Caller("x", role)) == Everything()
    assert scope_of(Caller("x", role, division=COUNTY)) == Areas(COUNTY)


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        (Everything(), [CITY, COUNTY, TOWN, FOREIGN, None]),
        (Areas(CITY), [CITY, COUNTY, TOWN]),
        (Areas(COUNTY), [COUNTY, TOWN]),
        (OwnSource("urn:a"), []),
        (OwnProvider("52"), []),
        (OwnPerson("x"), []),
    ],
)
def test_only_the_nation_sees_data_whose_area_is_unknown(scope: Any, seen: Any) -> None:
    assert [area for area in (CITY, COUNTY, TOWN, FOREIGN, None) if scope.sees(area)] == seen


def test_a_visitor_sees_the_tasks_of_the_provider_in_the_own_area() -> None:
    visitor, provider = OwnProvider("52", COUNTY), OwnProvider("52")
    assert (visitor.holds("52", TOWN), visitor.holds("52", FOREIGN), visitor.holds("91", TOWN)) == (True, False, False)
    assert (provider.holds("52", FOREIGN), provider.holds(None, TOWN)) == (True, False)
