import pytest
from common.money import share, yuan
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("fen", "text"),
    [(123450, "1,234.50"), (0, "0.00"), (7, "0.07"), (-123456789, "-1,234,567.89"), (-5, "-0.05")],
)
def test_fen_are_shown_in_yuan(fen: int, text: str) -> None:
    assert yuan(fen) == text


def test_the_fen_that_is_left_goes_to_the_part_that_lost_most() -> None:
    assert share(100, [1, 1, 1]) == [34, 33, 33]
    assert share(1000, [1, 2, 3]) == [167, 333, 500]
    assert share(-100, [1, 1, 1]) == [-34, -33, -33]


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any))
def test_a_split_never_loses_a_fen_and_no_part_is_off_by_more_than_one(fen: int, ratio: list[int]) -> None:
    parts = share(fen, ratio)
    assert sum(parts) == fen
    assert all(abs(part * sum(ratio) - fen * r) < sum(ratio) for part, r in zip(parts, ratio, strict=True))


@pytest.mark.parametrize("ratio", [[], [0, 0], [1, -1, 5]])
def test_a_ratio_that_splits_nothing_is_refused(ratio: list[int]) -> None:
    with pytest.raises(ValueError):
        share(100, ratio)
