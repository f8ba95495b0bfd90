"""Counting people without giving one away."""

from collections.abc import Mapping, Sequence

SUBSIDY_CLASSES = ("longevity_allowance", "nursing_subsidy", "care_service_subsidy", "combined")
LEVELS = ("0", "1", "2", "3", "4")


def suppress(count: int, threshold: int) -> int | None:
    """A count of 1 … threshold − 1 is not published; nobody is nobody."""
    return None if 0 < count < threshold else count


def suppress_parts(parts: Mapping[str, int], threshold: int) -> tuple[int | None, dict[str, int | None]]:
    """Total and parts as published, so that no hidden part follows from the total, not even for somebody who knows
    this rule. Hence the part hidden beside the small ones is chosen by the order of `parts`, never by its size."""
    total = sum(parts.values())
    hidden = {name for name, count in parts.items() if suppress(count, threshold) is None}
    shown_total = suppress(total, threshold)
    if shown_total is not None and _follow_from_sum([parts[name] for name in hidden], threshold):
        beside = next((name for name, count in parts.items() if count >= threshold), None)
        if beside is None:
            shown_total = None
        else:
            hidden.add(beside)
    return shown_total, {name: None if name in hidden else count for name, count in parts.items()}


def _follow_from_sum(small: Sequence[int], threshold: int) -> bool:
    """Whether these counts, each known to be 1 … threshold − 1, are few or extreme enough to follow from their sum."""
    if not small:
        return False
    return len(small) < 2 or sum(small) < threshold or sum(small) == len(small) * (threshold - 1)


def rate(part: int, whole: int, threshold: int) -> float | None:
    """`part` of `whole`, None where the whole is too few people (or nobody)."""
    if not whole or suppress(whole, threshold) is None:
        return None
    return round(part / whole, 4)
