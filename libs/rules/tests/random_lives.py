"""Random laws and random lives, both with their changes in the same few months."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

import msgspec
from common.events.ability import Ability
from common.events.facts import (
    Alive,
    Application,
    BenefitElsewhere,
    Death,
    Disability,
    Household,
    LivingSituation,
    LowIncome,
    Merit,
    Registration,
    Residence,
    SpecialFamily,
    Statement,
    Value,
)
from rules.deciding.choices import Choice

DAYS = 100
AREAS = ("000000", "530300", "530302", "140700")
PLACES = ("530302001", "530303", "530302", "140702", "110101", "999999")
# In the order of the alphabet: blocks go from an earlier item to a later one, the first three money items give way to
# the higher amount, the last three are a matter of choice.
HIGHER = ("care_service_subsidy", "care_voucher", "disability_living_subsidy")
CHOICE = ("longevity_allowance", "nursing_subsidy", "severe_disability_nursing_subsidy")
SERVICES = ("ability_assessment", "priority_admission", "visiting_care")
ITEMS = (*HIGHER, *CHOICE, *SERVICES)
CITATION = {"title": "试验清单", "issuer": "试验局", "date": date(2024, 1, 1), "locator": "第1条"}
PAY = {"start": "next_month", "stop": "next_month", "band_change": "next_month", "when": "arrears", "status": "example"}
KINDS = ("registration", "residence", "disability", "low_income", "living_situation", "special_family", "household")
KINDS += ("merit", "benefit_elsewhere", "application", "application")
BENEFITS = ("work_injury_care", "retired_cadre_care", "retired_cadre_living")
HOUSEHOLDS = ("h1", "h2")
TOLD = ("disability", "low_income", "special_family", "living_situation", "merit", "benefit_elsewhere", "application")
TOLD += ("low_income", "disability", "residence")


class Chance:
    """A law and a life out of one seed. The months begin on 1 February of a year with, before or after a leap day."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.first = date(self.rng.choice([2023, 2024, 2025]), 2, 1)
        self.said = self.chains = 0
        self.crowded = [self.rng.randint(0, DAYS) for _ in range(6)]  # days on which much happens at once

    def day(self, low: int = -5, high: int = DAYS) -> date:
        crowded = [n for n in self.crowded if low <= n <= high]
        n = self.rng.choice(crowded) if crowded and self.rng.random() < 0.5 else self.rng.randint(low, high)
        return self.first + timedelta(days=n)

    def some(self, *options: Any, most: int = 3) -> list[Any]:
        return self.rng.sample(options, self.rng.randint(1, min(most, len(options))))

    # --- a law ---

    def law(self) -> dict[str, dict[str, Any]]:
        return {area: {"items": self._items(area), "exclusions": self._rules()} for area in AREAS}

    def _items(self, area: str) -> dict[str, Any]:
        often = 0.8 if area == "000000" else 0.4
        return {item: self._item(item) for item in ITEMS if self.rng.random() < often}

    def _item(self, item: str) -> dict[str, Any]:
        cuts = sorted({self.day(-30, 80) for _ in range(self.rng.randint(1, 4))})
        versions = []
        for start, after in zip(cuts, [*cuts[1:], None], strict=True):
            version: dict[str, Any] = {"valid_from": start, "status": "documented", "citation": CITATION}
            end = after if after is None or self.rng.random() < 0.7 else self.rng.choice([after, *cuts])
            if after is not None:
                version["valid_to"] = end if end is not None and start < end <= after else after
            versions.append(
                version | {"conditions": self._condition(0 if self.rng.random() < 0.4 else 2)} | self._rest(item)
            )
        follows = self.rng.choice(["hukou", "hukou", "residence"])
        return {
            "item": item,
            "title": item,
            "kind": "service" if item in SERVICES else "cash",
            "follows": follows,
            "versions": versions,
        }

    def _rest(self, item: str) -> dict[str, Any]:
        if item == "visiting_care":
            tiers = [
                {"tier": name, "interval_days": 7 * n, "mode": "any", "status": "example"}
                for n, name in enumerate("ABC"[: self.rng.randint(1, 3)], 1)
            ]
            return {"tiers": [t | {"conditions": self._condition()} for t in tiers[:-1]] + tiers[-1:]}
        if item in SERVICES or self.rng.random() < 0.15:  # who, but not how much
            return {}
        return {"amount": self._amount(), "pay": PAY}

    def _amount(self) -> dict[str, Any]:
        fen = [100 * n for n in self.rng.sample(range(1, 5), 3)]
        form = self.rng.randrange(6)
        if form in (0, 4, 5):
            return {"flat_fen": fen[0]}
        if form == 1:
            return {
                "cases": [{"conditions": self._condition(), "amount_fen": f} for f in fen[: self.rng.randint(1, 3)]]
            }
        by, steps = ("age_years_min", [60, 80, 90]) if form == 2 else ("ability_level_min", [0, 2, 3])
        return {"bands": [{by: least, "amount_fen": f} for least, f in zip(steps, fen, strict=True)]}

    def _condition(self, depth: int = 2) -> dict[str, Any]:
        if depth and self.rng.random() < 0.5:
            group = self.rng.choice(["all_of", "any_of", "none_of"])
            return {group: [self._condition(depth - 1) for _ in range(self.rng.randint(1, 3))]}
        tests: dict[str, Any] = {
            "age_years_min": self.rng.choice([60, 65, 80, 90]),
            "age_years_max": self.rng.choice([64, 79, 80, 89, 90]),
            "hukou_in": self.some("530302", "140700", "530300"),
            "residence_in": self.some("530302", "140702", "530300"),
            "place_in": self.some("home", "institution", most=1),
            "low_income_in": self.some("dibao", "tekun", "bianyuan"),
            "support_in": self.some("concentrated", "scattered", most=1),
            "disability": {"levels": self.some(1, 2, 3), "classes": self.some(1, 4, 6)},
            "ability_level_min": self.rng.randint(1, 4),
            "living_tag": self.some("alone", "empty_nest", most=2),
            "special_family": self.some("dead", "disabled", most=1),
            "merit_in": self.some("veteran", "special_contribution", most=2),
            "benefit_elsewhere_in": self.some(*BENEFITS, most=2),
            "applied": self.some(*ITEMS, most=2),
        }
        name = "age_years_min" if self.rng.random() < 0.3 else self.rng.choice([*tests])
        found = {name: tests[name]}
        if self.rng.random() < 0.2:
            found["absent_means"] = self.rng.choice(["not_met", "unknown"])
        return found

    def _rules(self) -> list[dict[str, Any]]:
        rules, used = list[dict[str, Any]](), set[frozenset[str]]()
        for _ in range(self.rng.randint(1, 8)):
            mode = self.rng.choice(["block", "higher_of", "choice", "choice", "compatible"])
            group = {"higher_of": HIGHER, "choice": CHOICE}.get(mode, ITEMS)
            items = self.rng.sample(group, self.rng.randint(2, 3))
            rule: dict[str, Any] = {"mode": mode, "status": "documented", "citation": CITATION, "items": items}
            pairs = {frozenset(pair) for pair in combinations(items, 2)}
            if mode == "block":
                *losers, winner = sorted(items)
                rule |= {"items": losers, "by": [winner]}
                pairs = {frozenset((loser, winner)) for loser in losers}
            if mode != "choice" and self.rng.random() < 0.5:
                rule["elsewhere"] = self.some(*BENEFITS, most=2)
                pairs |= {frozenset((item, benefit)) for item in rule["items"] for benefit in rule["elsewhere"]}
            if not pairs & used:
                used |= pairs
                rule["valid_from"] = self.day(-40, 40)
                if self.rng.random() < 0.3:
                    rule["valid_to"] = rule["valid_from"] + timedelta(days=self.rng.randint(1, 60))
                rules.append(rule)
        return rules

    # --- coverage ---

    def told(self) -> dict[str, list[dict[str, Any]]]:
        """Feeds by division, of some places and of areas above them; sometimes a place without a feed."""
        return {
            place: self._feeds() for place in self.some("530302001", "530302", "530300", "140702", "000000", most=3)
        }

    def _feeds(self) -> list[dict[str, Any]]:
        feeds = []
        for _ in range(self.rng.choice([0, 1, 3, 6])):
            feed = {"kind": self.rng.choice(TOLD), "since": self.day(-60)}
            if self.rng.random() < 0.5:
                feed["until"] = feed["since"] + timedelta(days=self.rng.randint(1, 120))
            feeds.append(feed)
        return feeds

    # --- a life ---

    def statements(self, most: int = 30) -> list[Statement]:
        """Chains of statements with corrections, annulments and ends, in the order of their sources."""
        wanted = self.rng.randint(1, most)
        found: list[Statement] = []
        for kind, often in (("registration", 0.95), ("residence", 0.8), ("low_income", 0.5), ("disability", 0.5)):
            if self.rng.random() < often:
                found += self._chain(kind, since=None, plain=self.rng.random() < 0.8)
        while len(found) < wanted:
            kind = "death" if self.rng.random() < 0.06 else "alive" if self.rng.random() < 0.06 else None
            found += self._chain(kind or self.rng.choice(KINDS), since=self._since())
        return found

    def _since(self) -> date | None:
        return None if self.rng.random() < 0.1 else self.day()

    def _chain(self, kind: str, since: date | None, plain: bool = False) -> list[Statement]:
        self.chains += 1
        chain, rank = f"{kind}{self.chains}", self.rng.choice([1, 1, 2, 3])
        via = self.rng.choice(HOUSEHOLDS) if kind == "low_income" and not plain and self.rng.random() < 0.4 else None
        actions = ["created"]
        while not plain and self.rng.random() < 0.35 and len(actions) < 5:
            actions.append(self.rng.choice(["corrected", "corrected", "annulled", "ended"]))
        household = self.rng.choice(HOUSEHOLDS)
        return [
            self._statement(f"{chain}.{n}", chain, kind, action, rank, since, via, household, plain)
            for n, action in enumerate(actions)
        ]

    def _statement(
        self,
        event_id: str,
        chain: str,
        kind: str,
        action: str,
        rank: int,
        since: date | None,
        via: str | None,
        household: str,
        plain: bool,
    ) -> Statement:
        one_day = kind in ("death", "alive")
        start = since if action == "created" or self.rng.random() < 0.5 else self._since()
        start = self.day() if one_day and start is None else start
        end = self.day() if action == "ended" or (self.rng.random() < 0.35 and not one_day and not plain) else None
        self.said += self.rng.random() < 0.8 or action != "created"  # chains may begin in one moment
        at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=10 * self.said)
        return Statement(
            event_id=event_id,
            chain=chain,
            action=action,  # type: ignore[arg-type]
            kind=kind,  # type: ignore[arg-type]
            source="urn:cn:exchange:test",
            rank=rank,
            time=at,
            recorded_at=at + timedelta(minutes=0 if action == "created" else self.rng.randint(0, 90)),
            valid_from=start if action in ("created", "corrected") else None,
            valid_to=end,
            value=self._value(kind, household) if action in ("created", "corrected") else None,
            via=via,
        )

    def _value(self, kind: str, household: str) -> Value:
        pick = self.rng.choice
        match kind:
            case "registration":
                born = Registration(sex="1", birth_date=self._birth())
                if self.rng.random() < 0.1:  # a person with a residence permit
                    return born
                return msgspec.structs.replace(born, hukou_division=pick(PLACES), hukou_kind=pick(["urban", "rural"]))
            case "residence":
                return Residence(division=pick(PLACES), place=pick(["home", "home", "institution", "elsewhere"]))
            case "disability":
                return Disability(class_=pick([1, 4, 6]), level=pick([1, 2, 3, 4]))
            case "low_income":
                category = pick(["dibao", "tekun", "bianyuan", "fanpin"])
                support = pick([None, "concentrated", "scattered"]) if category == "tekun" else None
                return LowIncome(category=category, support=support)
            case "living_situation":
                return LivingSituation(tags=pick([(), ("alone",), ("empty_nest",), ("alone", "empty_nest")]))
            case "special_family":
                return SpecialFamily(only_child=pick(["dead", "disabled"]))
            case "household":
                return Household(household=household, member=self.rng.random() < 0.7)
            case "merit":
                return Merit(merit=pick(["veteran", "martyr_family", "special_contribution"]))
            case "benefit_elsewhere":
                return BenefitElsewhere(benefit=pick(BENEFITS), amount_fen_per_month=pick([None, 100, 200, 350]))
            case "application":
                return Application(item=pick(ITEMS), wish=pick(["apply", "decline"]), channel="counter")
            case "death":
                papers = ["cremation", "medical_certificate", "reported", "reported", "register_cancelled"]
                return Death(evidence=pick(papers))
            case "alive":
                return Alive(method="visit")
            case _:
                raise NotImplementedError(f"random_lives._value has no value of {kind}")

    def _birth(self) -> date:
        """A birth date with a birthday that matters in these months, often on 29 February."""
        years = self.rng.choice([60, 65, 80, 90])
        if self.rng.random() < 0.2:
            return date((self.first.year - years) // 4 * 4, 2, 29)
        day = self.day()
        return day.replace(year=day.year - years) if (day.month, day.day) != (2, 29) else date(day.year - years, 2, 28)

    def abilities(self) -> list[Ability]:
        found = []
        for n in range(self.rng.choice([0, 0, 1, 1, 2, 3])):
            start = self.day(-40)
            end = start + timedelta(days=self.rng.randint(1, 60)) if self.rng.random() < 0.5 else None
            at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=self.rng.randint(0, 400))
            level = self.rng.randint(0, 4)
            found.append(
                Ability(
                    assessment_id=f"ability{n}",
                    scale="GB/T 42195",
                    scale_version="2022",
                    level=level,
                    valid_from=start,
                    valid_to=end,
                    recorded_at=at,
                )
            )
        return found

    def choices(self) -> list[Choice]:
        found = []
        for n in range(self.rng.choice([0, 1, 2, 3, 5])):
            at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=self.rng.randint(0, 400))
            item = self.rng.choice(CHOICE)
            found.append(Choice(choice_id=f"choice{n}", item=item, chosen_on=self.day(), recorded_at=at))
        return found

    def delivered(self, statements: Sequence[Statement]) -> list[Statement]:
        """The same statements in another order, some two or three times. Chains keep the order of their source."""
        chains: dict[str, list[Statement]] = {}
        for s in statements:
            chains.setdefault(s.chain, []).extend([s] * self.rng.choice([1, 1, 2, 3]))
        queues = list(chains.values())
        mixed = []
        while queues:
            queue = self.rng.choice(queues)
            mixed.append(queue.pop(0))
            queues = [q for q in queues if q]
        return mixed
