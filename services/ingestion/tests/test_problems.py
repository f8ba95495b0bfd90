"""The published list of codes contains exactly the codes that the service uses."""

import ast
from pathlib import Path

import ingestion
import pytest
from common.codes.id_number import IdCode
from ingestion.domain import problems
from ingestion.domain.completeness import STATES

SOURCE = Path(ingestion.__file__).parent
LISTS = ("problems.py", "file_problems.py")


def literals():
    """Every string literal of the service outside the lists, and whether it is a code given to `fault`."""
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if path.name in LISTS:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fault":
                for argument in node.args[1:]:
                    yield from ((code, True) for code in _codes(argument))
            if _is_text(node):
                yield node.value, False


def _codes(node):
    if isinstance(node, ast.IfExp):
        return _codes(node.body) + _codes(node.orelse)
    return [node.value] if _is_text(node) else []


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_code_in_use_is_on_a_list():
    used = {code for code, is_fault in literals() if is_fault}
    assert len(used) > 30
    assert used <= set(problems.PROBLEMS) | set(problems.QUARANTINE) | set(problems.NOTES)
    assert not used & problems.RETIRED


def test_every_code_on_a_list_is_in_use():
    used = {code for code, _ in literals()} | {code.value for code in IdCode}
    for name, (_, _, codes) in problems.PUBLISHED.items():
        assert set(codes) - problems.RETIRED <= used, name


def test_every_code_has_a_text_in_two_languages():
    for english, chinese, codes in problems.PUBLISHED.values():
        for one, other in ((english, chinese), *codes.values()):
            assert one.isascii()
            assert not other.isascii()


def test_the_states_of_a_day_are_the_published_codes():
    assert set(problems.DAYS) == set(STATES)


def test_a_code_that_is_on_no_list_cannot_be_used():
    with pytest.raises(KeyError):
        problems.fault("", "something_else")
