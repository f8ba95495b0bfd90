"""The form of a condition on a person."""

from typing import Annotated, Literal

from common.events.facts import Benefit, LivingTag, LowIncomeCategory, MeritKind
from common.patterns import DIVISION, ITEM, whole
from msgspec import Meta

from rules.form.cited import Strict

Area = Annotated[str, Meta(pattern=whole(DIVISION))]
Age = Annotated[int, Meta(ge=0, le=130)]
AbilityLevel = Annotated[int, Meta(ge=0, le=4)]
Fen = Annotated[int, Meta(ge=0, le=10_000_000)]


class DisabilityTest(Strict, frozen=True, kw_only=True):
    levels: tuple[Annotated[int, Meta(ge=1, le=4)], ...] = (1, 2, 3, 4)
    classes: tuple[Annotated[int, Meta(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)


class Condition(Strict, frozen=True, kw_only=True):
    """One test, or a group of conditions. Tests with a list hold where any entry fits.

    `absent_means` says what it means when the fact is missing; without it the kind of fact decides
    (`common.events.kinds`): a birth date, a place or an ability result is then asked for, the rest is taken as not
    met. `applied` holds where any of the items is applied for and not declined since.
    """

    all_of: tuple["Condition", ...] | None = None
    any_of: tuple["Condition", ...] | None = None
    none_of: tuple["Condition", ...] | None = None
    age_years_min: Age | None = None
    age_years_max: Age | None = None
    hukou_in: tuple[Area, ...] | None = None
    residence_in: tuple[Area, ...] | None = None
    place_in: tuple[Literal["home", "institution", "elsewhere"], ...] | None = None
    low_income_in: tuple[LowIncomeCategory, ...] | None = None
    support_in: tuple[Literal["concentrated", "scattered"], ...] | None = None
    disability: DisabilityTest | None = None
    ability_level_min: AbilityLevel | None = None
    living_tag: tuple[LivingTag, ...] | None = None
    special_family: tuple[Literal["dead", "disabled"], ...] | None = None
    merit_in: tuple[MeritKind, ...] | None = None
    benefit_elsewhere_in: tuple[Benefit, ...] | None = None
    applied: Annotated[tuple[Annotated[str, Meta(pattern=whole(ITEM))], ...], Meta(max_length=5)] | None = None
    absent_means: Literal["not_met", "unknown"] | None = None

    def __post_init__(self) -> None:
        found = [name for name in TESTS if getattr(self, name) is not None]
        if len(found) != 1:
            raise ValueError(f"a condition needs exactly one test, found {', '.join(found) or 'none'}")
        if getattr(self, found[0]) == ():
            raise ValueError(f"{found[0]} is empty")
        if self.absent_means and found[0] in GROUPS:
            raise ValueError(f"absent_means belongs to a test, not to {found[0]}")

    @property
    def test(self) -> str:
        return next(name for name in TESTS if getattr(self, name) is not None)


GROUPS = ("all_of", "any_of", "none_of")
TESTS = tuple(name for name in Condition.__struct_fields__ if name != "absent_means")
