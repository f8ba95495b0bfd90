"""Writes what sources say as CloudEvents, and keeps which event ids make up the open chain of each kind."""

from datetime import date, datetime
from typing import Any

from synth.world import ALWAYS, Disability, Home, Household, Hukou, Income, Person

Event = dict[str, Any]
Sent = tuple[datetime, Event]

OFFICES = {
    "registration": "psb",
    "residence": "psb",
    "disability": "cdpf",
    "low_income": "mca",
    "household": "mca",
    "living_situation": "grid",
    "special_family": "nhc",
    "alive": "grid",
}
OFFICES_BESIDE = {
    "merit": "va",
    "ability_result": "nhsa",
    "benefit_elsewhere": "nhsa",
    "risk_incident": "grid",
    "hospital_stay": "nhsa",
    "contact": "grid",
    "application": "mca",
    "bank_account": "hrss",
}
DEATH_OFFICES = {
    "register_cancelled": "psb",
    "cremation": "mca",
    "medical_certificate": "nhc",
    "reported": "grid",
}


def source_urn(city: str, office: str) -> str:
    return f"urn:cn:exchange:{city}:{office}"


def sources(city: str) -> dict[str, frozenset[str]]:
    """Every source that a county of this city pushes from, and the kinds it pushes."""
    pairs = [*OFFICES.items(), *OFFICES_BESIDE.items(), *(("death", office) for office in DEATH_OFFICES.values())]
    offices = dict.fromkeys(office for _, office in pairs)
    return {source_urn(city, o): frozenset(kind for kind, office in pairs if office == o) for o in offices}


def certificate_no(number: str, disability: Disability) -> str:
    """A disability certificate number holds the ID number, then class and level."""
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
    """The id under which the initial load knows a fact. A certificate is known by its number, ID number
    inside.
    """
    if kind == "disability":
        if certificate is None:
            first = person.disability[0][1]
            assert first is not None, "an initial certificate has its class and level"
            certificate = certificate_no(person.number, first)
        return certificate
    return f"{OFFICES[kind]}-{kind}-{person.serial:08d}"


def _office(kind: str) -> str:
    return OFFICES.get(kind) or OFFICES_BESIDE[kind]


def _day(day: date | None) -> str | None:
    return None if day is None or day == ALWAYS else day.isoformat()


def _created(day: date, value: Event) -> Event:
    head: Event = {"action": "created", "previous_event_id": None}
    return head | {"valid_from": _day(day), "valid_to": None, "value": value}


class Scribe:
    """One exchange platform: the offices of one city, each numbering its own events; `series` goes before the number
    where an office numbers in several."""

    def __init__(self, city: str, series: str = "") -> None:
        self.city, self._series = city, series
        offices = (*OFFICES.values(), *OFFICES_BESIDE.values(), *DEATH_OFFICES.values())
        self._sources = {o: source_urn(city, o) for o in offices}
        self._written = 0

    def first(self, person: Person, kind: str, day: date, value: Event, time: datetime) -> Sent:
        """A fact of the initial load. Its chain needs no book-keeping: the id follows from the person."""
        data = _created(day, value)
        event_id = first_id(person, kind, value.get("certificate_no"))
        return self._sent(OFFICES[kind], kind, event_id, person, time, data)

    def created(self, person: Person, kind: str, day: date, value: Event, time: datetime, office: str = "") -> Sent:
        """A new statement; from now on its chain is the open one of its kind."""
        office = office or _office(kind)
        event_id = self._next_id(office, time, value.get("certificate_no"))
        person.chains[self._chain(kind, office)] = (event_id,)
        data = _created(day, value)
        return self._sent(office, kind, event_id, person, time, data)

    def corrected(self, person: Person, kind: str, day: date, value: Event, time: datetime) -> Sent:
        """The open chain was recorded wrongly: this value since this day."""
        data = {"valid_from": _day(day), "valid_to": None, "value": value}
        return self._following("corrected", person, kind, time, data, OFFICES[kind])

    def annulled(self, person: Person, kind: str, time: datetime, office: str = "") -> Sent:
        """The open chain was never true."""
        return self._following("annulled", person, kind, time, {}, office or _office(kind))

    def ended(self, person: Person, kind: str, until: date, time: datetime) -> Sent:
        """The open chain holds to the day before `until`."""
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
        # Any event of a chain may be named, and sources do name any.
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
