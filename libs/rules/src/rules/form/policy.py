"""The form of a service list: one file per item and area, every value with its dates, source and status.

`contracts/policy/<area>/<item>.yaml` contains an `ItemPolicy`, `exclusions.yaml` the rules between items, and
`floors.yaml` and `deviations.yaml` the bounds of the list (`rules.form.bounds`). `000000` is the nation. Files seed the
lists. `PolicyVersionPublished` carries the same form.
"""

import re
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from common.events.entitlement import ItemKind, MonthRule, PayTerms
from common.patterns import DIVISION, ITEM, exact, published
from common.words_zh import ITEMS
from msgspec import Meta

from rules.form.bounds import Deviation as Deviation
from rules.form.bounds import Floor as Floor
from rules.form.cited import Citation as Citation
from rules.form.cited import Status as Status
from rules.form.cited import Strict, Text
from rules.form.condition_form import GROUPS as GROUPS
from rules.form.condition_form import TESTS, AbilityLevel, Age, Area, Fen
from rules.form.condition_form import Condition as Condition
from rules.form.condition_form import DisabilityTest as DisabilityTest
from rules.form.exclusion_rules import Exclusion as Exclusion
from rules.form.exclusion_rules import need_one_rule_for_a_pair
from rules.form.names import NATION as NATION

Follows = Literal["hukou", "residence"]


class PolicyError(ValueError):
    """A file or an event that has no valid list. The message names place and fault, and the file if there is one."""


class Band(Strict, frozen=True, kw_only=True):
    """An amount from an age or an ability level upwards."""

    amount_fen: Fen
    age_years_min: Age | None = None
    ability_level_min: AbilityLevel | None = None

    @property
    def least(self) -> int | None:
        """The age or the ability level from which the amount counts."""
        return self.ability_level_min if self.age_years_min is None else self.age_years_min


class AmountCase(Strict, frozen=True, kw_only=True):
    """An amount for the persons who meet a condition."""

    conditions: Condition
    amount_fen: Fen


class Amount(Strict, frozen=True, kw_only=True):
    """Fen per month: flat, by bands or by cases.

    Bands have one dimension, lowest first; the highest band that the person reaches counts. Of the cases the first
    whose conditions hold counts. `status`: None means the status of the version."""

    flat_fen: Fen | None = None
    bands: tuple[Band, ...] = ()
    cases: tuple[AmountCase, ...] = ()
    status: Status | None = None
    citation: Citation | None = None

    def __post_init__(self) -> None:
        if (self.flat_fen is not None) + bool(self.bands) + bool(self.cases) != 1:
            raise ValueError("an amount is either flat_fen or bands or cases")
        for name in ("age_years_min", "ability_level_min"):
            self._need_rising(name)
        if any((b.age_years_min is None) == (b.ability_level_min is None) for b in self.bands):
            raise ValueError("a band needs either age_years_min or ability_level_min")

    def _need_rising(self, name: str) -> None:
        steps = [getattr(b, name) for b in self.bands]
        given = [s for s in steps if s is not None]
        if given and (len(given) != len(steps) or given != sorted(set(given))):
            raise ValueError(f"bands need {name} in each, rising")


class Pay(Strict, frozen=True, kw_only=True):
    """The pay terms of a cash item (`PayTerms`). They have their own status, because documents rarely state them."""

    start: MonthRule
    stop: MonthRule
    band_change: MonthRule
    when: Literal["arrears", "advance"]
    fund: Text = "county"
    status: Status
    citation: Citation | None = None
    note: Text | None = None

    def terms(self) -> PayTerms:
        """Return the terms and their status, as an entitlement contains them."""
        return PayTerms(
            start=self.start,
            stop=self.stop,
            band_change=self.band_change,
            when=self.when,
            fund=self.fund,
            status=self.status,
        )


class Tier(Strict, frozen=True, kw_only=True):
    """How often a person is visited. The first tier whose condition holds counts; the last tier has none."""

    tier: Annotated[str, Meta(pattern=exact("[A-Z]"))]
    interval_days: Annotated[int, Meta(ge=1, le=31)]  # more than a month would miss a calendar month
    mode: Literal["in_person", "in_person_or_call", "any"]
    status: Status
    conditions: Condition | None = None


class Reverify(Strict, frozen=True, kw_only=True):
    """The age at which a visit must verify living tags again, with its own status. Older tags end no visits."""

    living_tag_months: Annotated[int, Meta(ge=1, le=120)]
    status: Status
    citation: Citation | None = None
    note: Text | None = None


class Listed(Strict, frozen=True, kw_only=True):
    """The line of the printed list: its number, 服务对象, 服务类型 and 牵头部门. The authority has its own status,
    because the national list names none."""

    number: Annotated[int, Meta(ge=1, le=1000)] | None = None
    group: Text
    service: Text
    authority: Text
    authority_status: Status


class Version(Strict, frozen=True, kw_only=True):
    """An item over [`valid_from`, `valid_to`).

    A cash item without amount and pay sets the persons, and the lists below set the amount. `standard`: the office that
    sets the amount if no list does.
    """

    valid_from: date
    valid_to: date | None = None
    status: Status
    citation: Citation
    listed: Listed | None = None
    conditions: Condition
    amount: Amount | None = None
    pay: Pay | None = None
    standard: Text | None = None
    tiers: tuple[Tier, ...] = ()
    reverify: Reverify | None = None
    note: Text | None = None


class ItemPolicy(Strict, frozen=True, kw_only=True):
    """One item of one area. `follows`: whether the list of the hukou or of the residence counts for a person."""

    item: Annotated[str, Meta(pattern=exact(ITEM))]
    title: Text
    kind: ItemKind
    follows: Follows
    versions: Annotated[tuple[Version, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        if "." not in self.item and self.item not in ITEMS:
            raise ValueError(f"{self.item} is no item code; an area's own item is prefixed with its code")
        for version in self.versions:
            self._need_right_money(version)
            self._need_right_visits(version)
        for before, after in pairwise(self.versions):
            if before.valid_to is None or before.valid_to > after.valid_from:
                raise ValueError(f"the version of {before.valid_from} overlaps that of {after.valid_from}")

    def _need_right_money(self, version: Version) -> None:
        if (version.amount is None) != (version.pay is None):
            raise ValueError("a cash item has amount and pay, or neither")
        if version.standard and (version.amount or self.kind == "service"):
            raise ValueError("standard belongs to a cash item without amount")
        if self.kind == "service" and (version.amount or version.pay):
            raise ValueError("a service has neither amount nor pay")

    def _need_right_visits(self, version: Version) -> None:
        if (self.item == "visiting_care") != bool(version.tiers):
            raise ValueError("tiers belong to visiting_care, which needs them")
        if self.item != "visiting_care" and version.reverify:
            raise ValueError("reverify belongs to visiting_care")
        if version.tiers and (version.tiers[-1].conditions or not all(t.conditions for t in version.tiers[:-1])):
            raise ValueError("every tier but the last needs conditions, the last has none")


class PolicyList(Strict, frozen=True, kw_only=True):
    """The complete list of one area. `PolicyVersionPublished.list` carries it."""

    jurisdiction: Area
    items: dict[str, ItemPolicy] = msgspec.field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()
    floors: tuple[Floor, ...] = ()
    deviations: tuple[Deviation, ...] = ()

    def __post_init__(self) -> None:
        for name, item in self.items.items():
            if name != item.item:
                raise ValueError(f"{name} holds item {item.item}")
            if "." in name and not name.startswith(self.jurisdiction + "."):
                raise ValueError(f"{name} is prefixed with another area than {self.jurisdiction}")
        need_one_rule_for_a_pair(self.exclusions)


# The files of an area that contain no item, with their form.
BESIDE_ITEMS: dict[str, Any] = {
    "exclusions": tuple[Exclusion, ...],
    "floors": tuple[Floor, ...],
    "deviations": tuple[Deviation, ...],
}


def load_lists(root: Path) -> dict[str, PolicyList]:
    """Read all lists under a folder (`contracts/policy`), by area. Raises PolicyError."""
    return {
        folder.name: load_list(folder)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and re.fullmatch(DIVISION, folder.name)
    }


def load_list(folder: Path) -> PolicyList:
    """Read the list of an area. The folder has the area's code as its name. Raises PolicyError."""
    items: dict[str, ItemPolicy] = {}
    beside: dict[str, Any] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.stem in BESIDE_ITEMS:
            beside[path.stem] = _convert(path, BESIDE_ITEMS[path.stem])
        else:
            item = load_item(path)
            items[item.item] = item
    try:
        return msgspec.convert({"jurisdiction": folder.name, "items": items, **beside}, PolicyList)
    except msgspec.ValidationError as fault:
        raise PolicyError(f"{folder}: {fault}") from fault


def load_item(path: Path) -> ItemPolicy:
    """Read the item of a file. The file has the item's code as its name. Raises PolicyError."""
    item: ItemPolicy = _convert(path, ItemPolicy)
    if item.item != path.stem:
        raise PolicyError(f"{path}: holds item {item.item}, so its name must be {item.item}.yaml")
    return item


def _convert(path: Path, into: Any) -> Any:
    """Read a YAML file into the form `into`. Raises PolicyError."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return msgspec.convert(yaml.load(path.read_text(encoding="utf-8"), Loader=loader), into)
    except (yaml.YAMLError, ValueError, msgspec.ValidationError) as fault:  # ValueError: 30 February, bad UTF-8
        raise PolicyError(f"{path}: {fault}") from fault


def from_event(list_: dict[str, Any]) -> PolicyList:
    """Return the list that `PolicyVersionPublished.list` contains. Raises PolicyError."""
    try:
        return msgspec.convert(list_, PolicyList)
    except msgspec.ValidationError as fault:
        raise PolicyError(str(fault)) from fault


def to_event_dict(policy_list: PolicyList) -> dict[str, Any]:
    """Return the list as plain JSON values, for `PolicyVersionPublished.list`."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(policy_list))
    return plain


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema 2020-12 of a file in `contracts/policy/<area>` (`contracts/policy/schema.json`)."""
    forms, named = msgspec.json.schema_components([ItemPolicy, *BESIDE_ITEMS.values()], ref_template="#/$defs/{name}")
    schema: dict[str, Any] = published({"anyOf": forms, "$defs": named})
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Service item of one area, or what its list says beside the items"
    condition = schema["$defs"]["Condition"]
    condition["oneOf"] = [{"required": [name]} for name in TESTS]
    return schema
