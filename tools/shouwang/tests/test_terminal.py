"""Columns are aligned, although a Chinese character is twice as wide."""

from shouwang.terminal import aligned, display_width


def test_a_chinese_character_takes_two_columns() -> None:
    assert [display_width(text) for text in ("", "abc", "麒麟区", "（元）", "80至89岁", "e\u0301", "—")] == [
        0,
        3,
        6,
        6,
        8,
        1,
        1,
    ]


def test_numbers_are_aligned_to_the_right_and_words_to_the_left() -> None:
    rows = [["地区", "人数"], ["麒麟区", "1,234"], ["A", "5"]]
    assert list(aligned(rows, numbers=[1])) == [
        "地区     人数",
        "麒麟区  1,234",
        "A           5",
    ]


def test_no_rows_are_no_lines() -> None:
    assert list(aligned([])) == []
