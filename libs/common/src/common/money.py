"""Format and split amounts of money. An amount is an integer number of fen, never a binary fraction."""

from collections.abc import Sequence

FEN_PER_YUAN = 100


def yuan(fen: int) -> str:
    """`123450` → `1,234.50`; negative amounts keep their sign in front."""
    whole, rest = divmod(abs(fen), FEN_PER_YUAN)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02d}"


def share(fen: int, ratio: Sequence[int]) -> list[int]:
    """Split an amount by a ratio of whole numbers without losing a fen.

    Every part is rounded down to whole fen. The remaining fen go, one each, to the parts that lost most; between equal
    losses, to the earlier part. A negative amount is split in the same way. Raises ValueError for a ratio that is
    empty, negative or zero.
    """
    total = sum(ratio)
    if total <= 0 or min(ratio) < 0:
        raise ValueError("a ratio has no negative part and a sum above zero")
    parts, lost = zip(*(divmod(abs(fen) * r, total) for r in ratio), strict=True)
    left = abs(fen) - sum(parts)
    first = set(sorted(range(len(ratio)), key=lambda i: (-lost[i], i))[:left])
    sign = -1 if fen < 0 else 1
    return [sign * (part + (i in first)) for i, part in enumerate(parts)]
