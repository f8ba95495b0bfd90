"""The form of a condition on a person."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from common.events.facts import Benefit, LivingTag, LowIncomeCategory, MeritKind
from common.patterns import DIVISION, ITEM, exact
from msgspec import Meta

from rules.form.cited import Strict

Area = Annotated[str, Meta(pattern=exact(DIVISION))]
Age = Annotated[int, Meta(ge=0, le=130)]
AbilityLevel = Annotated[int, Meta(ge=0, le=4)]
Fen = Annotated[int, Meta(ge=0, le=10_000_000)]


class DisabilityTest(Strict, frozen=True, kw_only=True):
    levels: tuple[Annotated[int, Meta(ge=1, le=4)], ...] = (1, 2, 3, 4)
    classes: tuple[Annotated[int, Meta(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)


class Condition(Strict, frozen=True, kw_only=True):
    """One test, or a group of conditions. A test with a list holds if any entry fits.

    `absent_means`: the meaning of a missing fact. Without it the kind of fact decides (`common.events.kinds`): the
    platform asks for a birth date, a place or an ability result; every other missing fact counts as not met. Where
    coverage is declared without this kind, its missing facts are unknown (`rules.facts.coverage`).
    `applied` holds if the person applied for any of the items and has not declined it since.
    Every test has its meaning in `rules.form.circumstances`.
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
    applied: Annotated[tuple[Annotated[str, Meta(pattern=exact(ITEM))], ...], Meta(max_length=5)] | None = None
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
        """The name of the test or group."""
        return next(name for name in TESTS if getattr(self, name) is not None)

    @property
    def children(self) -> tuple["Condition", ...]:
        """The conditions of a group; empty for a test."""
        return self.all_of or self.any_of or self.none_of or ()

    @property
    def areas(self) -> tuple[str, ...]:
        """The areas that a test of a place names."""
        return self.hukou_in or self.residence_in or ()

    def leaves(self) -> Iterator["Condition"]:
        """Every test in the condition, without the groups."""
        children = self.children
        if not children:
            yield self
        for child in children:
            yield from child.leaves()


GROUPS: Final = ("all_of", "any_of", "none_of")
TESTS: Final = tuple(name for name in Condition.__struct_fields__ if name != "absent_means")
