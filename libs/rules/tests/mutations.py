"""Every small change of a list: another number, one word more or less, a rule removed."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rules.form.condition_form import Condition


def literals(annotation: Any) -> Iterator[Any]:
    """The words that a field of a condition allows."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    for part in get_args(annotation):
        yield from literals(part)


FIELDS = {name: hint for name, hint in get_type_hints(Condition).items() if name != "absent_means"}
WORDS: dict[str, tuple[Any, ...]] = {
    **{name: words for name, hint in FIELDS.items() if (words := tuple(literals(hint)))},
    "hukou_in": ("530302", "140700", "530300"),
    "residence_in": ("530302", "140702", "530300"),
    "applied": (),
    "levels": (1, 2, 3, 4),
    "classes": (1, 2, 3, 4, 5, 6, 7),
}
MONTHS = ("same_month", "next_month")
PAY_WORDS = {"start": MONTHS, "stop": MONTHS, "band_change": MONTHS, "when": ("arrears", "advance")}
GROUPS = ("all_of", "any_of", "none_of")
Change = tuple[str, Callable[[Any], None]]  # what it does, to a copy of the file
Lowest = dict[str, Callable[[Any], None]]


def at(path: tuple[Any, ...]) -> Callable[[Any], Any]:
    def reach(said: Any) -> Any:
        for step in path:
            said = said[step]
        return said

    return reach


def put(path: tuple[Any, ...], key: Any, value: Any) -> Callable[[Any], None]:
    def change(said: Any) -> None:
        at(path)(said)[key] = value

    return change


def both(*changes: Callable[[Any], None]) -> Callable[[Any], None]:
    def change(said: Any) -> None:
        for one in changes:
            one(said)

    return change


def of_words(path: tuple[Any, ...], name: str, named: list[Any]) -> Iterator[Change]:
    """One entry less, one more."""
    for word in WORDS[name]:
        other = [w for w in named if w != word] if word in named else [*named, word]
        if other:
            yield f"{path} {name} {'without' if word in named else 'with'} {word}", put(path, name, other)


def of_condition(path: tuple[Any, ...], said: dict[str, Any], lowest: Lowest) -> Iterator[Change]:
    """`lowest`: by test, the other values that share the lower edge of its number and must change with it."""
    name = next(key for key in said if key != "absent_means")
    holder, key = path[:-1], path[-1]
    if name in GROUPS:
        for n, part in enumerate(said[name]):
            yield from of_condition((*path, name, n), part, lowest)
            rest = said[name][:n] + said[name][n + 1 :]
            if rest:
                yield f"{(*path, name)} without part {n}", put(path, name, rest)
        return
    yield f"{path} not {name}", put(holder, key, {"none_of": [said]})
    if name == "disability":
        for part, named in said[name].items():
            yield from of_words((*path, name), part, named)
    elif name in WORDS:
        yield from of_words(path, name, said[name])
    elif not isinstance(said[name], int):
        raise NotImplementedError(f"mutations.WORDS has no other words for the test {name}: {said[name]!r}")
    else:
        for step in (-1, 1):
            change = put(path, name, said[name] + step)
            also = [lowest[name]] if step < 0 and name in lowest else []
            yield f"{path} {name} {said[name] + step}", both(change, *also)


def of_version(said: dict[str, Any], path: tuple[Any, ...]) -> Iterator[Change]:
    amount = said.get("amount", {})
    bands, at_amount = amount.get("bands", []), (*path, "amount")
    by = next((key for key in (bands[0] if bands else ()) if key != "amount_fen"), "")
    lowest = {by: put((*at_amount, "bands", 0), by, bands[0][by] - 1)} if bands else {}
    yield from of_condition((*path, "conditions"), said["conditions"], lowest)
    if "flat_fen" in amount:
        yield "another amount", put(at_amount, "flat_fen", amount["flat_fen"] + 100)
    for n, band in enumerate(bands):
        yield f"another amount from {band[by]}", put((*at_amount, "bands", n), "amount_fen", band["amount_fen"] + 7)
        for step in (-1, 1):
            if n or step > 0:  # the lowest step down is hidden behind the condition and goes with it
                yield f"band {by} {band[by] + step}", put((*at_amount, "bands", n), by, band[by] + step)
    for n, case in enumerate(amount.get("cases", [])):
        at_case = (*at_amount, "cases", n)
        yield f"another amount in case {n}", put(at_case, "amount_fen", case["amount_fen"] + 700)
        yield from of_condition((*at_case, "conditions"), case["conditions"], {})
    for key, words in PAY_WORDS.items():
        if "pay" in said and (key != "band_change" or "flat_fen" not in amount):
            (other,) = set(words) - {said["pay"][key]}
            yield f"pay {key} {other}", put((*path, "pay"), key, other)
    for n, tier in enumerate(said.get("tiers", [])):
        yield f"tier {n} every other day", put((*path, "tiers", n), "interval_days", tier["interval_days"] - 1)
        if "conditions" in tier:
            yield from of_condition((*path, "tiers", n, "conditions"), tier["conditions"], {})


def of_item(said: dict[str, Any]) -> Iterator[Change]:
    other = "residence" if said["follows"] == "hukou" else "hukou"
    yield f"follows {other}", put((), "follows", other)
    for n, version in enumerate(said["versions"]):
        for step in (-1, 1):
            day = version["valid_from"] + timedelta(days=step)
            yield f"version {n} from {day}", put(("versions", n), "valid_from", day)
        yield from of_version(version, ("versions", n))


def of_rules(rules: list[dict[str, Any]]) -> Iterator[Change]:
    def drop(n: int) -> Callable[[Any], None]:
        return lambda said: said.pop(n)

    for n, rule in enumerate(rules):
        if rule["mode"] == "compatible":
            continue  # takes away what a wider list says, and none does here
        yield f"without rule {n} ({rule['mode']})", drop(n)
        for key in ("items", "by", "elsewhere"):
            for item in rule.get(key, ()):
                rest = [other for other in rule[key] if other != item]
                if len(rest) >= (1 if rule["mode"] == "block" or "elsewhere" in rule else 2):
                    yield f"rule {n} {key} without {item}", put((n,), key, rest)
