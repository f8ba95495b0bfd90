"""Check whether a caller may see a person."""

from typing import Final

from common.errors import NotAllowed, NotFound
from common.events.facts import Registration, Residence
from shell.access.auth import Caller, Role
from shell.access.scopes import OwnPerson, scope_of

from identification.deciding.domain.person import Person, inputs_of

READERS: Final[tuple[Role, ...]] = ("officer", "approver", "auditor", "assessor", "resident")


def need_person(caller: Caller, person_id: str, person: Person | None) -> Person:
    """Return the person if the caller may see it. `person`: None if it is not stored.

    Raises NotFound, or NotAllowed outside the caller's scope. Residents see only themselves.
    """
    scope = scope_of(caller)
    if isinstance(scope, OwnPerson) and scope.person_id != person_id:
        raise NotAllowed("residents see only themselves")
    if person is None:
        raise NotFound("no person has this id")
    if not isinstance(scope, OwnPerson) and not any(scope.sees(area) for area in _areas(person)):
        raise NotAllowed("outside your area")
    return person


def _areas(person: Person) -> set[str | None]:
    """Return the divisions whose officers may see a person: hukou and residence.

    A claimed place gives no access. If any place of the person was ever claimed, all vouched places count, also earlier
    ones.
    """
    areas = {person.residence, person.hukou}
    if person.facts is None or b'"claimed"' not in person.facts:
        return areas
    inputs = inputs_of(person)
    claimed, vouched = set[str | None](), set[str | None]()
    for fact in inputs.facts_known_at(None) if inputs else ():
        places = claimed if fact.standing == "claimed" else vouched
        if isinstance(fact.value, Residence):
            places.add(fact.value.division)
        elif isinstance(fact.value, Registration):
            places.add(fact.value.hukou_division)
    return (areas - claimed) | vouched
