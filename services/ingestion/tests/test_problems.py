"""The published list of codes is the one that the code speaks."""

import ast
from pathlib import Path

import pytest
from common.codes.id_number import IdCode
from ingestion.domain import problems
from ingestion.domain.completeness import STATES

SOURCE = Path(problems.__file__).parents[1]


def literals():
    """Every string literal of the service but for the list itself, with whether it is a code given to `fault`."""
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if path.name == "problems.py":
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


def test_every_code_that_is_told_is_on_the_list():
    told = {code for code, is_fault in literals() if is_fault}
    assert len(told) > 30
    assert told <= set(problems.PROBLEMS) | set(problems.QUARANTINE) | set(problems.NOTES)
    assert not told & problems.RETIRED


def test_every_code_on_the_list_is_told_somewhere():
    spoken = {code for code, _ in literals()} | {code.value for code in IdCode}
    for name, (_, _, codes) in problems.PUBLISHED.items():
        assert set(codes) - problems.RETIRED <= spoken, name


def test_every_code_is_explained_in_two_languages():
    for english, chinese, codes in problems.PUBLISHED.values():
        for one, other in ((english, chinese), *codes.values()):
            assert one.isascii()
            assert not other.isascii()


def test_a_day_is_told_by_the_published_words():
    assert set(problems.DAYS) == set(STATES)


def test_a_code_that_is_not_on_the_list_cannot_be_told():
    with pytest.raises(KeyError):
        problems.fault("", "something_else")
