"""Makes synthetic elders, and the CloudEvents that sources push about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from random import Random
from typing import Any, Final
from uuid import uuid4

from synth.identity import Numbers, draw_name

Event = dict[str, Any]
CITY: Final = "530300"
QILIN, XUANWEI = "530302", "530381"
COUNTIES: Final = {QILIN: "麒麟区", XUANWEI: "宣威市"}


@dataclass(frozen=True)
class Elder:
    """A synthetic person. `town`: 9 digits; the place of both hukou and home."""

    number: str
    name: str
    sex: str
    birth_date: date
    town: str

    @property
    def county(self) -> str:
        return self.town[:6]

    def in_town(self, town: str) -> Elder:
        return replace(self, town=town)


class Cast:
    """Generates people. Each ID number is unique within one cast."""

    def __init__(self, seed: object = None) -> None:
        self._random = Random(str(uuid4() if seed is None else seed))
        self._numbers = Numbers()

    def elder(self, born: date, county: str = QILIN, sex: str | None = None) -> Elder:
        """Make a person who lives in a random town of the county. `sex`: `1` male, `2` female, None random."""
        sex = sex or self._random.choice("12")
        number = self._numbers.draw(self._random, county, born, sex)
        town = f"{county}{self._random.randint(1, 8):03d}"
        return Elder(number, draw_name(self._random, sex), sex, born, town)

    def aged(self, years: int, on: date, county: str = QILIN, sex: str | None = None) -> Elder:
        """Make a person who is `years` old on the day `on`. The next birthday is in the fifth month after it."""
        month = (on.month + 4) % 12 + 1
        year = on.year - years - (1 if month > on.month else 0)
        return self.elder(date(year, month, self._random.randint(1, 28)), county, sex)


def cloud_event(
    office: str,
    kind: str,
    elder: Elder,
    at: datetime,
    value: Event | None,
    *,
    since: date | None = None,
    until: date | None = None,
    action: str = "created",
    previous: Event | None = None,
    id: str | None = None,
) -> Event:
    """Make one CloudEvent of an office of Qujing. `at`: the time at which the source recorded it.

    `since` and `until`: the validity. `previous`: the earlier event that a `corrected`, `ended` or `annulled` event
    changes. `id`: default is a new one.
    """
    data: Event = {
        "action": action,
        "previous_event_id": previous["id"] if previous else None,
        "person": {"id_number": elder.number, "name": elder.name},
        "valid_from": since.isoformat() if since else None,
        "valid_to": until.isoformat() if until else None,
    }
    if value is not None:
        data["value"] = value
    return {
        "specversion": "1.0",
        "id": id or f"{office}-{uuid4()}",
        "source": f"urn:cn:exchange:{CITY}:{office}",
        "type": f"cn.eldercare.population.{kind}.v1",
        "time": at.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }


def registration(elder: Elder, at: datetime, *, since: date | None = None) -> Event:
    value = {
        "name": elder.name,
        "sex": elder.sex,
        "birth_date": elder.birth_date.isoformat(),
        "hukou_division": elder.town,
        "hukou_kind": "urban",
    }
    return cloud_event("psb", "registration", elder, at, value, since=since)


def residence(elder: Elder, at: datetime, *, since: date | None = None) -> Event:
    value = {"division": elder.town, "address": f"{COUNTIES.get(elder.county, '')}合成路1号", "place": "home"}
    return cloud_event("psb", "residence", elder, at, value, since=since)


def register_entries(elder: Elder, at: datetime) -> list[Event]:
    """Make the events of hukou and home, without a first day."""
    return [registration(elder, at), residence(elder, at)]


def lives_alone(elder: Elder, at: datetime, since: date) -> Event:
    value = {"tags": ["alone"], "verified_on": since.isoformat()}
    return cloud_event("grid", "living_situation", elder, at, value, since=since)


def certificate(
    elder: Elder, at: datetime, level: int, since: date, *, corrects: Event | None = None, class_: int = 4
) -> Event:
    value = {"certificate_no": f"{elder.number}{class_}{level}", "class": class_, "level": level}
    action = "corrected" if corrects else "created"
    return cloud_event("cdpf", "disability", elder, at, value, since=since, action=action, previous=corrects)


def household(head: Elder, members: list[Elder], number: str, at: datetime, since: date) -> Event:
    value = {"household_no": number, "members": [member.number for member in members]}
    return cloud_event("mca", "household", head, at, value, since=since)


def low_income(
    elder: Elder, at: datetime, since: date, *, category: str = "dibao", household_no: str | None = None
) -> Event:
    value: Event = {"category": category}
    if household_no:
        value["household_no"] = household_no
    return cloud_event("mca", "low_income", elder, at, value, since=since)


def death(elder: Elder, at: datetime, day: date, evidence: str = "register_cancelled") -> Event:
    office = {"register_cancelled": "psb", "cremation": "mca", "medical_certificate": "nhc", "reported": "grid"}
    return cloud_event(office[evidence], "death", elder, at, {"evidence": evidence}, since=day)


def alive(elder: Elder, at: datetime, day: date) -> Event:
    return cloud_event("grid", "alive", elder, at, {"method": "visit"}, since=day)


def annulled(event: Event, elder: Elder, at: datetime) -> Event:
    """Make the event by which a source annuls its earlier event. Like a real register, it sends its row with a flag."""
    office = str(event["source"]).rpartition(":")[2]
    kind = str(event["type"]).split(".")[3]
    row = event["data"].get("value", {}) | {"row_state": "D"}
    since = event["data"]["valid_from"]
    day = date.fromisoformat(since) if since else None
    return cloud_event(office, kind, elder, at, row, since=day, action="annulled", previous=event)
