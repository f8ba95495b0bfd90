"""The facts and entitlements of one day, computed as slowly and simply as possible.

It takes statements and the policy files as plain dictionaries, and shares no code with `rules`. It remembers nothing
and divides no interval: it answers every question again for every day.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any, NamedTuple

import yaml
from common.codes import divisions
from common.events.ability import Ability
from common.events.facts import Statement

Told = Mapping[str, Sequence[Mapping[str, Any]]]  # division → its feeds: kind, since, until
Law = Mapping[str, Mapping[str, Any]]  # area → {"items": {item: file}, "exclusions": [rule, …]}
NATION = "000000"
BEFORE, AFTER = date.min, date.max
DAYS_ONLY = ("death", "alive", "risk_incident")
# Kinds of which several may hold at once, and what tells one from another.
SEVERAL = {
    "merit": "merit",
    "ability_result": "scale",
    "benefit_elsewhere": "benefit",
    "application": "item",
}


def read_law(folder: Any) -> dict[str, dict[str, Any]]:
    """`contracts/policy` as plain dictionaries."""
    law: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("[0-9]*/*.yaml")):
        one = law.setdefault(path.parent.name, {"items": {}, "exclusions": []})
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.stem == "exclusions":
            one["exclusions"] = said
        elif isinstance(said, dict):  # what is no item says nothing of anybody's entitlements
            one["items"][said["item"]] = said
    return law


# --- what holds on a day ----------------------------------------------------------------------------


class Word(NamedTuple):
    """The last statement of a chain that gave a value, and its period."""

    said: Statement
    start: date
    end: date


def by_source(statement: Statement) -> Any:
    return statement.time, statement.event_id


def last_words(statements: Sequence[Statement], order: Callable[[Statement], Any] = by_source) -> list[Word]:
    words = []
    for chain in {s.chain for s in statements}:
        said, end = None, AFTER
        for s in sorted((s for s in statements if s.chain == chain), key=order):
            if s.action == "annulled":
                said = None
            elif s.action == "ended":
                end = s.valid_to or end
            else:
                said, end = s, s.valid_to or AFTER
        if said is None:
            continue
        start = said.valid_from or BEFORE
        if start < end or said.kind in DAYS_ONLY:
            words.append(Word(said, start, end))
    return words


def newest_in_line(words: Sequence[Word], day: date) -> Statement | None:
    """Of one rank and one line: the piece that began last, if it still holds. It has closed all earlier ones."""
    begun = [w for w in words if w.start <= day]
    if not begun:
        return None
    newest = max(begun, key=lambda w: (w.start, w.said.time, w.said.chain))
    return newest.said if day < newest.end else None


def shown(words: Sequence[Word], kind: str, day: date) -> Statement | None:
    """The statement whose value holds: direct before through a household, strong before weak source."""
    of_kind = [w for w in words if w.said.kind == kind]
    ranks = sorted({w.said.rank for w in of_kind})
    for rank in ranks:
        found = newest_in_line([w for w in of_kind if w.said.rank == rank and w.said.via is None], day)
        if found:
            return found
    for rank in ranks:
        rivals = []
        for household in {w.said.via for w in of_kind if w.said.via is not None}:
            if is_member(words, household, day):
                line = [w for w in of_kind if w.said.rank == rank and w.said.via == household]
                found = newest_in_line(line, day)
                rivals += [found] if found else []
        if rivals:  # the later beginning; then the later word; then, so that something decides, the chain
            rivals.sort(key=lambda s: s.chain)
            return max(rivals, key=lambda s: (s.valid_from or BEFORE, s.time))
    return None


def all_shown(words: Sequence[Word], kind: str, day: date) -> list[Statement]:
    """As `shown`, for a kind whose values may hold together: each separately."""
    of_kind = [w for w in words if w.said.kind == kind]
    lines = {getattr(w.said.value, SEVERAL[kind]) for w in of_kind}
    found = [shown([w for w in of_kind if getattr(w.said.value, SEVERAL[kind]) == line], kind, day) for line in lines]
    return [s for s in found if s]


def is_member(words: Sequence[Word], household: str, day: date) -> bool:
    own = [w for w in words if w.said.kind == "household" and w.said.value.household == household]
    for rank in sorted({w.said.rank for w in own}):
        found = newest_in_line([w for w in own if w.said.rank == rank], day)
        if found:
            return bool(found.value.member)
    return False


def single_days(words: Sequence[Word], kind: str) -> list[tuple[date, Any]]:
    shanghai = timedelta(hours=8)
    return [(w.said.valid_from or (w.said.time + shanghai).date(), w.said.value) for w in words if w.said.kind == kind]


def death(words: Sequence[Word]) -> tuple[date | None, date | None]:
    """(died on, suspected from)."""
    days: dict[str, list[date]] = {}
    for day, value in single_days(words, "death"):
        days.setdefault(value.evidence, []).append(day)
    certificate, register = days.get("medical_certificate", []), days.get("register_cancelled", [])
    if register or (certificate and "cremation" in days):
        return min(certificate or register), None
    seen = [day for day, _ in single_days(words, "alive")]
    open_ = [day for reports in days.values() for day in reports if not any(s >= day for s in seen)]
    return None, min(open_, default=None)


def turning_points(words: Sequence[Word]) -> list[date]:
    """The days on which a value may change, with the first day of all."""
    return sorted({BEFORE} | {d for w in words for d in (w.start, w.end) if d != AFTER})


def last_shown(words: Sequence[Word], kind: str) -> Statement | None:
    """The value of the latest days that have one."""
    for day in reversed(turning_points(words)):
        found = shown(words, kind, day)
        if found:
            return found
    return None


def ability_level(abilities: Sequence[Ability], day: date) -> int | None:
    begun = [a for a in abilities if a.valid_from <= day]
    if not begun:
        return None
    newest = max(begun, key=lambda a: (a.valid_from, a.recorded_at, a.assessment_id))
    return newest.level if newest.valid_to is None or day < newest.valid_to else None


def years_old(birth: date, day: date) -> int:
    """A birthday has come when the calendar shows its month and day or a later one; 29 February, in a year without
    it, comes on 1 March."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


class World(NamedTuple):
    """A person on one day. `hukou`, `home`: the place and the areas above it, nearest first; empty for a person without
    a hukou (with a residence permit). `values`: by kind of `SINGLE` the value that holds, or None."""

    day: date
    hukou: tuple[str, ...] | None
    home: tuple[str, ...] | None
    place: str | None
    age: int | None
    values: Mapping[str, Any]
    ability: int | None
    merits: tuple[str, ...]
    elsewhere: Mapping[str, int | None]
    wishes: Mapping[str, str]
    untold: tuple[str, ...] = ()


def around(division: str | None) -> tuple[str, ...]:
    if division is None:
        return ()
    chain = [code for code in (division, *divisions.ancestors(division)) if code != NATION]
    return (*chain, NATION)


OF_THE_HUKOU = ("disability", "low_income", "special_family")
OF_THE_HOME = ("living_situation", "merit", "benefit_elsewhere", "application")


def nobody_tells(kind: str, places: Sequence[str], told: Told, day: date) -> bool:
    """A feed was declared for the place or an area above it, but no feed of this kind for that day."""
    if not any(place in told for place in places):
        return False
    for place in places:
        for feed in told.get(place, ()):
            if feed["kind"] == kind and feed["since"] <= day and ("until" not in feed or day < feed["until"]):
                return False
    return True


def untold_on(world: World, told: Told) -> tuple[str, ...]:
    hukou, home = world.hukou or world.home or (NATION,), world.home or world.hukou or (NATION,)
    kinds = [kind for kind in OF_THE_HUKOU if nobody_tells(kind, hukou, told, world.day)]
    return (*kinds, *(kind for kind in OF_THE_HOME if nobody_tells(kind, home, told, world.day)))


def world_on(words: Sequence[Word], abilities: Sequence[Ability], day: date, told: Told | None = None) -> World:
    world = plain_world(words, abilities, day)
    return world._replace(untold=untold_on(world, told)) if told else world


def plain_world(words: Sequence[Word], abilities: Sequence[Ability], day: date) -> World:
    values: dict[str, Any] = {}
    for kind in SINGLE:
        found = shown(words, kind, day)
        values[kind] = found.value if found else None
    born = last_shown(words, "registration")
    registered, lives = values["registration"], values["residence"]
    return World(
        day=day,
        hukou=around(registered.hukou_division) if registered else None,
        home=around(lives.division) if lives else None,
        place=lives.place if lives else None,
        age=years_old(born.value.birth_date, day) if born else None,  # type: ignore[union-attr]
        values=values,
        ability=ability_level(abilities, day),
        merits=tuple(s.value.merit for s in all_shown(words, "merit", day)),
        elsewhere={s.value.benefit: s.value.amount_fen_per_month for s in all_shown(words, "benefit_elsewhere", day)},
        wishes={s.value.item: s.value.wish for s in all_shown(words, "application", day)},
    )


# --- what the law says of a day ---------------------------------------------------------------------


def answer(condition: Mapping[str, Any], world: World) -> bool | None:
    for group in ("all_of", "any_of", "none_of"):
        if group in condition:
            parts = [answer(part, world) for part in condition[group]]
            if group == "all_of":
                return False if False in parts else None if None in parts else True
            some = True if True in parts else None if None in parts else False
            return some if group == "any_of" or some is None else not some
    (name, wanted), *_ = [(k, v) for k, v in condition.items() if k != "absent_means"]
    found = leaf(name, wanted, world)
    if "absent_means" not in condition and ASKS_FOR[name] in world.untold:
        if name == "support_in" and world.values["low_income"] is not None:
            return bool(found)  # of a known fact a part is missing, not the fact
        return None if found is False and silent_of_some(name, wanted, world) else found
    if found is None and condition.get("absent_means", DEFAULT[name]) == "not_met":
        return False
    return found


def silent_of_some(name: str, wanted: Any, world: World) -> bool:
    """One of the values asked for was not reported at all, of a kind whose values may hold together."""
    if name == "merit_in" or name == "benefit_elsewhere_in":
        return True
    return name == "applied" and any(item not in world.wishes for item in wanted)


ASKS_FOR = {
    "age_years_min": "registration",
    "age_years_max": "registration",
    "hukou_in": "registration",
    "residence_in": "residence",
    "place_in": "residence",
    "low_income_in": "low_income",
    "support_in": "low_income",
    "disability": "disability",
    "ability_level_min": "ability_result",
    "living_tag": "living_situation",
    "special_family": "special_family",
    "merit_in": "merit",
    "benefit_elsewhere_in": "benefit_elsewhere",
    "applied": "application",
}
SINGLE = sorted({*ASKS_FOR.values()} - {*SEVERAL})  # kinds with one value at a time
ASKED = ("registration", "residence", "ability_result")
DEFAULT = {name: "unknown" if kind in ASKED else "not_met" for name, kind in ASKS_FOR.items()}


def leaf(name: str, wanted: Any, w: World) -> bool | None:
    if name == "age_years_min":
        return None if w.age is None else w.age >= wanted
    if name == "age_years_max":
        return None if w.age is None else w.age <= wanted
    if name in ("hukou_in", "residence_in"):
        at = w.hukou if name == "hukou_in" else w.home
        return None if at is None else bool(set(at) & set(wanted))
    if name == "place_in":
        return None if w.place is None else w.place in wanted
    if name == "low_income_in":
        low = w.values["low_income"]
        return None if low is None else low.category in wanted
    if name == "support_in":
        low = w.values["low_income"]
        return low.support in wanted if low is not None and low.support is not None else None
    if name == "disability":
        card = w.values["disability"]
        if card is None:
            return None
        classes, levels = wanted.get("classes", range(1, 8)), wanted.get("levels", range(1, 5))
        return card.class_ in classes and card.level in levels
    if name == "ability_level_min":
        return None if w.ability is None else w.ability >= wanted
    if name == "living_tag":
        living = w.values["living_situation"]
        return None if living is None else bool(set(living.tags) & set(wanted))
    if name == "merit_in":
        return bool(set(w.merits) & set(wanted)) if w.merits else None
    if name == "benefit_elsewhere_in":
        return bool(set(w.elsewhere) & set(wanted)) if w.elsewhere else None
    if name == "applied":
        return any(w.wishes.get(item) == "apply" for item in wanted) if w.wishes else None
    if name == "special_family":
        child = w.values["special_family"]
        return None if child is None else child.only_child in wanted
    raise NotImplementedError(f"slow_oracle.leaf does not know the test {name}")


def lacking(condition: Mapping[str, Any], world: World) -> set[str]:
    if answer(condition, world) is not None:
        return set()
    for group in ("all_of", "any_of", "none_of"):
        if group in condition:
            return {kind for part in condition[group] for kind in lacking(part, world)}
    (name,) = [k for k in condition if k != "absent_means"]
    return {ASKS_FOR[name]}


def in_force(dated: Mapping[str, Any], day: date) -> bool:
    return dated["valid_from"] <= day and ("valid_to" not in dated or day < dated["valid_to"])


class Found(NamedTuple):
    state: str
    area: str
    version: date
    kind: str
    fen: int | None = None
    tier: str | None = None
    days: int | None = None
    by: str | None = None
    missing: tuple[str, ...] = ()


def nearest(law: Law, areas: Sequence[str], item: str, day: date) -> tuple[str, Any, Any] | None:
    for area in areas:
        file = law.get(area, {}).get("items", {}).get(item)
        for version in file["versions"] if file else ():
            if in_force(version, day):
                return area, file, version
    return None


def each_item(law: Law, world: World) -> dict[str, Found]:
    """Every item separately, before the rules between items."""
    found: dict[str, Found] = {}
    for item in sorted({item for one in law.values() for item in one.get("items", {})}):
        for follows, own, other in (("hukou", world.hukou, world.home), ("residence", world.home, world.hukou)):
            named = nearest(law, own if own is not None else other or (NATION,), item, world.day)
            if named is None or named[1]["follows"] != follows:
                continue
            one = one_item(*named, world, asks_place=follows if own is None else None)
            if one is not None:
                found[item] = one
            break
    return found


def one_item(area: str, file: Any, version: Any, world: World, asks_place: str | None) -> Found | None:
    holds = answer(version["conditions"], world)
    if holds is False:
        return None
    missing = lacking(version["conditions"], world)
    if asks_place:
        missing.add("registration" if asks_place == "hukou" else "residence")
    fen = None
    if "amount" in version and not missing:
        fen, missing = amount(version["amount"], world)
        if fen is None and not missing:
            return None
    head = (area, version["valid_from"], file["kind"])
    if missing:
        return Found("unknown", *head, missing=tuple(sorted(missing)))
    for tier in version.get("tiers", ()):  # of which nobody is asked
        if "conditions" not in tier or answer(tier["conditions"], world._replace(untold=())):
            return Found("granted", *head, fen, tier["tier"], tier["interval_days"])
    return Found("granted", *head, fen)


def amount(said: Mapping[str, Any], world: World) -> tuple[int | None, set[str]]:
    if "flat_fen" in said:
        return said["flat_fen"], set()
    for case in said.get("cases", ()):
        holds = answer(case["conditions"], world)
        if holds is None:
            return None, lacking(case["conditions"], world)
        if holds:
            return case["amount_fen"], set()
    fen: int | None = None
    for band in said.get("bands", ()):
        by_age = "age_years_min" in band
        reached, least = (world.age, band["age_years_min"]) if by_age else (world.ability, band["ability_level_min"])
        if reached is None:
            return None, {"registration" if by_age else "ability_result"}
        if reached >= least:
            fen = band["amount_fen"]
    return fen, set()


# --- items against each other -----------------------------------------------------------------------


def rule_between(law: Law, one: str, other: str, areas: Mapping[str, Sequence[str]], day: date) -> Any:
    """(mode, item that a block suppresses) of the nearest list with a rule about both, or None."""
    spoken_of = sorted({*areas[one], *areas[other]}, key=lambda a: (-len(around(a)), a))
    for area in spoken_of:
        for rule in law.get(area, {}).get("exclusions", ()):
            if not in_force(rule, day):
                continue
            if rule["mode"] == "block":
                for loser, winner in ((one, other), (other, one)):
                    if loser in rule["items"] and winner in rule.get("by", ()) and area in areas[loser]:
                        return "block", loser
            elif {one, other} <= set(rule["items"]) and area in areas[one] and area in areas[other]:
                return rule["mode"], None
    return None


def named_first(law: Law, areas: Mapping[str, Sequence[str]], day: date) -> list[str]:
    """Items in the order in which the rules name them, near lists first."""
    order: list[str] = []
    for area in sorted({a for some in areas.values() for a in some}, key=lambda a: (-len(around(a)), a)):
        for rule in law.get(area, {}).get("exclusions", ()):
            if in_force(rule, day) and rule["mode"] in ("higher_of", "choice"):
                order += [item for item in rule["items"] if area in areas.get(item, ())]
    return order


def rule_elsewhere(law: Law, item: str, benefit: str, areas: Sequence[str], day: date) -> str | None:
    """The mode of the nearest list with a rule about an item and a benefit of another office."""
    for area in sorted(areas, key=lambda a: (-len(around(a)), a)):
        for rule in law.get(area, {}).get("exclusions", ()):
            if in_force(rule, day) and item in rule["items"] and benefit in rule.get("elsewhere", ()):
                return str(rule["mode"])
    return None


class Life:
    """The days of a person one after the other: the items that a person has depend on the day before."""

    def __init__(self, law: Law, choices: Sequence[Any] = ()) -> None:
        self.law, self.choices = law, sorted(choices, key=lambda c: (c.chosen_on, c.recorded_at, c.choice_id))
        self.had: dict[str, date] = {}
        self.chosen: list[str] = []  # the newest last
        self.seen: set[str] = set()

    def day(self, world: World, suspected: bool = False) -> dict[str, Found]:
        found = each_item(self.law, world)
        places = {"hukou": world.hukou or world.home, "residence": world.home or world.hukou}
        areas = {item: self._areas(item, places, world.day) for item in found}
        for item, f in found.items():
            if f.state == "granted" and world.wishes.get(item) == "decline":
                found[item] = f._replace(state="suppressed", by="declined")
            elif f.state == "granted":
                found[item] = self._beside(item, f, world, areas[item])
        self._block(found, areas, world.day)
        self._higher(found, areas, world.day)
        self._choose(found, areas, world.day)
        self.had = {i: self.had.get(i, world.day) for i in self._given(found)}
        if suspected:
            for item, f in found.items():
                if f.state == "granted" and f.kind == "cash":
                    found[item] = f._replace(state="suspended")
        return found

    def _areas(self, item: str, places: Any, day: date) -> Sequence[str]:
        for follows in ("hukou", "residence"):
            chain = places[follows] or (NATION,)
            named = nearest(self.law, chain, item, day)
            if named and named[1]["follows"] == follows:
                return tuple(chain)
        raise AssertionError(item)

    def _beside(self, item: str, f: Found, world: World, areas: Sequence[str]) -> Found:
        modes = {b: rule_elsewhere(self.law, item, b, areas, world.day) for b in world.elsewhere}
        if blocks := sorted(b for b, mode in modes.items() if mode == "block"):
            return f._replace(state="suppressed", by="|".join(blocks))
        if f.kind == "cash" and f.fen is None:
            return f
        against = {b: world.elsewhere[b] for b, mode in modes.items() if mode == "higher_of"}
        as_much = {b: fen for b, fen in against.items() if fen is not None and fen >= (f.fen or 0)}
        if as_much:
            return f._replace(
                state="suppressed", by="|".join(b for b, n in as_much.items() if n == max(as_much.values()))
            )
        if None in against.values():
            head = (f.area, f.version, f.kind)
            return Found("unknown", *head, missing=("benefit_elsewhere",))
        if against:
            most = "|".join(b for b, n in against.items() if n == max(against.values(), key=lambda n: n or 0))
            return f._replace(state="choice_required", by=most)
        return f

    def _granted(self, found: dict[str, Found]) -> list[str]:
        return [item for item, f in found.items() if f.state == "granted"]

    def _given(self, found: dict[str, Found]) -> list[str]:
        """A right to money without an amount is not given."""
        return [i for i in self._granted(found) if found[i].kind == "service" or found[i].fen is not None]

    def _pairs(self, found: Any, areas: Any, day: date) -> Iterator[tuple[str, str, Any]]:
        for one, other in combinations(sorted(self._granted(found)), 2):
            rule = rule_between(self.law, one, other, areas, day)
            if rule:
                yield one, other, rule

    def _block(self, found: dict[str, Found], areas: Any, day: date) -> None:
        """Laws here block an item by a later one in the alphabet, so a walk backwards decides it."""
        blocks = [(a, b, rule[1]) for a, b, rule in self._pairs(found, areas, day) if rule[0] == "block"]
        for item in sorted(self._granted(found), reverse=True):
            winners = [a if loser == b else b for a, b, loser in blocks if loser == item]
            given = [w for w in winners if w in self._given(found)]
            if given:
                found[item] = found[item]._replace(state="suppressed", by="|".join(sorted(given)))

    def _higher(self, found: dict[str, Found], areas: Any, day: date) -> None:
        pairs = {frozenset((a, b)) for a, b, rule in self._pairs(found, areas, day) if rule[0] == "higher_of"}
        first = named_first(self.law, areas, day)
        mentioned = [i for i in self._given(found) if any(i in pair for pair in pairs)]
        for item in sorted(mentioned, key=lambda i: (-(found[i].fen or 0), first.index(i))):
            for other in mentioned:
                if frozenset((item, other)) in pairs and {found[item].state, found[other].state} == {"granted"}:
                    found[other] = found[other]._replace(state="suppressed", by=item)

    def _choose(self, found: dict[str, Found], areas: Any, day: date) -> None:
        for choice in self.choices:
            if choice.chosen_on <= day and choice.choice_id not in self.seen:
                self.seen.add(choice.choice_id)
                self.chosen = [c for c in self.chosen if c != choice.item] + [choice.item]
        there = self._given(found)
        self.chosen = [c for c in self.chosen if c in there]
        pairs = {frozenset((a, b)) for a, b, rule in self._pairs(found, areas, day) if rule[0] == "choice"}
        first = named_first(self.law, areas, day)
        contested = sorted((i for i in there if any(i in pair for pair in pairs)), key=first.index)
        given: list[str] = []

        def stands_against(item: str) -> str | None:
            return next((g for g in given if frozenset((g, item)) in pairs), None)

        def gives_way(item: str, to: str) -> None:
            state = "suppressed" if to in self.chosen else "choice_required"
            found[item] = found[item]._replace(state=state, by=to)
            self.chosen = [c for c in self.chosen if c != item]

        wanted = [c for c in reversed(self.chosen) if c in contested]
        had = sorted((i for i in contested if i in self.had and i not in wanted), key=lambda i: self.had[i])
        for item in wanted + had:
            against = stands_against(item)
            if against:
                gives_way(item, against)
            else:
                given.append(item)
        new = [i for i in contested if i not in given and found[i].state == "granted"]
        for item in list(new):
            against = stands_against(item)
            if against:
                gives_way(item, against)
                new.remove(item)
        asking = [i for i in new if any(frozenset((i, j)) in pairs for j in new)]
        for item in asking:
            found[item] = found[item]._replace(state="choice_required")


def decided(
    law: Law,
    statements: Sequence[Statement],
    abilities: Sequence[Ability],
    choices: Sequence[Any],
    days: Sequence[date],
    known_at: datetime | None = None,
    words: Sequence[Word] | None = None,
    told: Told | None = None,
) -> dict[date, dict[str, Found]]:
    """The answer of the law on each of `days`, which must be in order and contain every day of a change.
    `words`: the last statements, if known already. `told`: feeds by division."""
    if known_at is not None:
        statements = [s for s in statements if s.recorded_at <= known_at]
        abilities = [a for a in abilities if a.recorded_at <= known_at]
        choices = [c for c in choices if c.recorded_at <= known_at]
    words = last_words(statements) if words is None else words
    died_on, suspected_on = death(words)
    life, found = Life(law, choices), dict[date, dict[str, Found]]()
    first = min(d["valid_from"] for one in law.values() for d in dated(one))
    for day in days:
        gone = day < first or (died_on is not None and day > died_on)
        suspected = suspected_on is not None and day >= suspected_on
        found[day] = {} if gone else life.day(world_on(words, abilities, day, told), suspected)
    return found


def dated(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [v for item in one.get("items", {}).values() for v in item["versions"]] + list(one.get("exclusions", ()))
