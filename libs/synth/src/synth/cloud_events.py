"""CloudEvents of the sources: the value of each fact kind, and a writer that keeps the open chain of each kind."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final

from synth.truth import ALWAYS, Disability, Home, Household, Hukou, Income, Person

Event = dict[str, Any]
Sent = tuple[datetime, Event]  # an event and its time

OFFICES: Final = {
    "registration": "psb",
    "residence": "psb",
    "disability": "cdpf",
    "low_income": "mca",
    "household": "mca",
    "living_situation": "grid",
    "special_family": "nhc",
    "alive": "grid",
}
OTHER_OFFICES: Final = {
    "merit": "va",
    "ability_result": "nhsa",
    "benefit_elsewhere": "nhsa",
    "risk_incident": "grid",
    "hospital_stay": "nhsa",
    "contact": "grid",
    "application": "mca",
    "bank_account": "hrss",
}
DEATH_OFFICES: Final = {
    "register_cancelled": "psb",
    "cremation": "mca",
    "medical_certificate": "nhc",
    "reported": "grid",
}


def source_urn(city: str, office: str) -> str:
    return f"urn:cn:exchange:{city}:{office}"


def sources(city: str) -> dict[str, frozenset[str]]:
    """Every source of a county in this city, with the fact kinds that it pushes."""
    kinds: dict[str, set[str]] = {}
    for kind, office in _kinds_and_offices():
        kinds.setdefault(source_urn(city, office), set()).add(kind)
    return {source: frozenset(found) for source, found in kinds.items()}


def _kinds_and_offices() -> Iterator[tuple[str, str]]:
    """Every fact kind with each office that reports it."""
    yield from OFFICES.items()
    yield from OTHER_OFFICES.items()
    for office in DEATH_OFFICES.values():
        yield "death", office


def certificate_no(number: str, disability: Disability) -> str:
    """A disability certificate number consists of ID number, class and level."""
    return f"{number}{disability.class_}{disability.level}"


def registration_value(person: Person, hukou: Hukou) -> Event:
    return {
        "name": person.name,
        "sex": person.sex,
        "birth_date": person.birth_date.isoformat(),
        "hukou_division": hukou.division,
        "hukou_kind": hukou.kind,
    }


def residence_value(home: Home) -> Event:
    return {"division": home.division, "address": home.address, "place": home.place}


def disability_value(person: Person, disability: Disability) -> Event:
    number = certificate_no(person.number, disability)
    return {"certificate_no": number, "class": disability.class_, "level": disability.level}


def income_value(income: Income, household: Household | None = None) -> Event:
    value: Event = {"category": income.category}
    if income.support:
        value["support"] = income.support
    if household:
        value["household_no"] = household.number
    return value


def household_value(household: Household, members: tuple[str, ...]) -> Event:
    return {"household_no": household.number, "members": list(members)}


def living_value(tags: tuple[str, ...], verified_on: date) -> Event:
    return {"tags": list(tags), "verified_on": verified_on.isoformat()}


def first_id(person: Person, kind: str, certificate: str | None = None) -> str:
    """The event id of a fact in the initial load. For a certificate it is its number, which contains the ID number."""
    if kind != "disability":
        return f"{OFFICES[kind]}-{kind}-{person.serial:08d}"
    return certificate or certificate_no(person.number, first_disability(person))


def first_disability(person: Person) -> Disability:
    """The class and level of a person's certificate in the initial load."""
    first = person.disability[0][1]
    assert first is not None, "an initial certificate has its class and level"
    return first


def _office(kind: str) -> str:
    return OFFICES.get(kind) or OTHER_OFFICES[kind]


def _day(day: date | None) -> str | None:
    return None if day is None or day == ALWAYS else day.isoformat()


def _created(day: date, value: Event) -> Event:
    head: Event = {"action": "created", "previous_event_id": None}
    return head | {"valid_from": _day(day), "valid_to": None, "value": value}


class EventWriter:
    """The exchange platform of one city, whose offices number their events. `series`: a prefix of these numbers."""

    def __init__(self, city: str, series: str = "") -> None:
        self.city, self._series = city, series
        self._sources = {office: source_urn(city, office) for _, office in _kinds_and_offices()}
        self._written = 0

    def first(self, person: Person, kind: str, day: date, value: Event, time: datetime) -> Sent:
        """A fact of the initial load. Its id follows from the person, so its chain is not stored."""
        data = _created(day, value)
        event_id = first_id(person, kind, value.get("certificate_no"))
        return self._sent(OFFICES[kind], kind, event_id, person, time, data)

    def created(self, person: Person, kind: str, day: date, value: Event, time: datetime, office: str = "") -> Sent:
        """A new statement. Its chain becomes the open one of its kind."""
        office = office or _office(kind)
        event_id = self._next_id(office, time, value.get("certificate_no"))
        person.chains[self._chain(kind, office)] = (event_id,)
        data = _created(day, value)
        return self._sent(office, kind, event_id, person, time, data)

    def corrected(self, person: Person, kind: str, day: date, value: Event, time: datetime) -> Sent:
        """A correction of the open chain: this value is valid from this day."""
        data = {"valid_from": _day(day), "valid_to": None, "value": value}
        return self._following("corrected", person, kind, time, data, OFFICES[kind])

    def annulled(self, person: Person, kind: str, time: datetime, office: str = "") -> Sent:
        """The open chain was never true."""
        return self._following("annulled", person, kind, time, {}, office or _office(kind))

    def ended(self, person: Person, kind: str, until: date, time: datetime) -> Sent:
        """The open chain is valid to the day before `until`."""
        return self._following("ended", person, kind, time, {"valid_to": _day(until)}, _office(kind))

    def _chain(self, kind: str, office: str) -> str:
        return f"death/{office}" if kind == "death" else kind

    def _next_id(self, office: str, time: datetime, certificate: str | None = None) -> str:
        self._written += 1
        if certificate:
            return f"{certificate}-{self._written}"
        return f"{office}-{time.year}-{time.month:02d}-{self._series}{self._written:07d}"

    def _following(self, action: str, person: Person, kind: str, time: datetime, data: Event, office: str) -> Sent:
        key = self._chain(kind, office)
        chain = person.chains.get(key) or (first_id(person, kind),)
        event_id = self._next_id(office, time)
        # real sources name any event of the chain
        previous = chain[self._written % len(chain)]
        person.chains[key] = (*chain, event_id)
        head = {"action": action, "previous_event_id": previous}
        return self._sent(office, kind, event_id, person, time, head | data)

    def _sent(self, office: str, kind: str, event_id: str, person: Person, time: datetime, data: Event) -> Sent:
        data["person"] = {"id_number": person.number, "name": person.name}
        return time, {
            "specversion": "1.0",
            "id": event_id,
            "source": self._sources[office],
            "type": f"cn.eldercare.population.{kind}.v1",
            "time": time.isoformat(timespec="milliseconds"),
            "datacontenttype": "application/json",
            "data": data,
        }
