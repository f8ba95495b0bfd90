"""Check and normalise unified social credit codes of organisations (GB 32100-2015)."""

from operator import mul

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
_HALF_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)}
LENGTH = 18


def normalise(raw: str) -> str:
    """The text without surrounding blanks, in half-width characters and upper case."""
    return raw.strip().translate(_HALF_WIDTH).upper()


def check_character(first17: str) -> str:
    """The 18th character. Raises KeyError for a character outside the alphabet, such as I, O, S, V and Z."""
    return ALPHABET[-sum(map(mul, WEIGHTS, (_VALUE[c] for c in first17))) % 31]


def valid(raw: str) -> bool:
    """Whether the text is a credit code after `normalise`: 18 characters of the alphabet, digits at places 3 to 8, and
    the right check character."""
    code = normalise(raw)
    if len(code) != LENGTH or not all(c in _VALUE for c in code) or not code[2:8].isdigit():
        return False
    return check_character(code[:17]) == code[17]


def make(first17: str) -> str:
    """Return a synthetic code. `first17`: one character each for registering authority and category, six digits of the
    division, nine characters of the organisation."""
    return first17 + check_character(first17)
