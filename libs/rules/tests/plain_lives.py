"""A person with exactly these values at all times: the simplest life of a situation."""

from datetime import UTC, date, datetime
from typing import Any

from common.events.ability import Ability
from common.events.facts import (
    Application,
    BenefitElsewhere,
    Disability,
    LivingSituation,
    LowIncome,
    Merit,
    Registration,
    Residence,
    SpecialFamily,
)
from rules.facts.timeline import Fact

SOMEWHERE = "530300"
NAMES = {"hukou", "residence", "age", "disability", "low_income", "living", "special", "ability", "place"}
NAMES |= {"merits", "elsewhere", "wishes"}
Plain = dict[str, Any]


def _years_before(day: date, years: int) -> date:
    return date(day.year - years, day.month, min(day.day, 28))


def life(known: Plain, on: date) -> tuple[list[Fact], list[Ability]]:
    """Facts that give a person exactly these values on a day. `known`: by name of the circumstance."""
    if strange := known.keys() - NAMES:
        raise NotImplementedError(f"plain_lives.life gives no fact of {', '.join(sorted(strange))}")

    def fact(kind: str, value: Any, valid_to: date | None = None) -> Fact:
        return Fact(kind, value, None, valid_to, kind, "urn:cn:exchange:test", 1)

    facts = []
    if "hukou" in known or "age" in known:
        born = _years_before(on, known.get("age", 70))
        value = Registration(sex="2", birth_date=born, hukou_division=known.get("hukou", SOMEWHERE), hukou_kind="rural")
        facts.append(fact("registration", value, None if "hukou" in known else on))
    if "residence" in known:
        facts.append(fact("residence", Residence(division=known["residence"], place=known.get("place", "home"))))
    if "disability" in known:
        facts.append(fact("disability", Disability(class_=known["disability"][0], level=known["disability"][1])))
    if "low_income" in known:
        category, support = known["low_income"]
        facts.append(fact("low_income", LowIncome(category=category, support=support)))
    if "living" in known:
        facts.append(fact("living_situation", LivingSituation(tags=tuple(known["living"]))))
    if "special" in known:
        facts.append(fact("special_family", SpecialFamily(only_child=known["special"])))
    facts += [fact("merit", Merit(merit=merit)) for merit in known.get("merits", ())]
    for benefit, fen in known.get("elsewhere", ()):
        facts.append(fact("benefit_elsewhere", BenefitElsewhere(benefit=benefit, amount_fen_per_month=fen)))
    for item, wish in known.get("wishes", ()):
        facts.append(fact("application", Application(item=item, wish=wish, channel="counter")))
    abilities = []
    if "ability" in known:
        abilities.append(
            Ability(
                assessment_id="a",
                scale="GB/T 42195",
                scale_version="2022",
                level=known["ability"],
                valid_from=date(2000, 1, 1),
                recorded_at=datetime(2000, 1, 1, tzinfo=UTC),
            )
        )
    return facts, abilities
