import pytest
from common.codes import uscc


@pytest.mark.parametrize(
    "code", ["91350100M000100Y43", "52140702MJY000001D", "125303024310000010", " 91350100m000100y43 "]
)
def test_a_credit_code_with_the_right_check_character_is_valid(code: str) -> None:
    assert uscc.valid(code)


@pytest.mark.parametrize(
    "code",
    [
        "91350100M000100Y4Z",
        "91350100M000100Y44",
        "91350100M000100Y4",
        "",
        "9135010IM000100Y43",
        "52140702MJY0000011D",
    ],
)
def test_a_credit_code_with_a_wrong_character_is_not(code: str) -> None:
    assert not uscc.valid(code)


def test_a_made_code_is_valid_and_one_changed_digit_is_not() -> None:
    code = uscc.make("52530302MJY000001")
    assert uscc.valid(code)
    assert not uscc.valid(code[:15] + "2" + code[16:])
