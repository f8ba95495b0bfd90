"""The four kinds of module, the size of rooms, and the density of the code. CONTRIBUTING.md explains the rules."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("libs/*/src/**/*.py", "services/*/src/**/*.py", "tools/*/src/**/*.py", "benchmarks/**/*.py")
SOURCES = sorted(
    path for pattern in PATTERNS for path in ROOT.glob(pattern) if "tests" not in path.relative_to(ROOT).parts
)
TEST_PATTERNS = ("libs/*/tests", "services/*/tests", "tools/*/tests", "benchmarks/tests", "tests")
TESTS = sorted(path for pattern in TEST_PATTERNS for folder in ROOT.glob(pattern) for path in folder.rglob("*.py"))
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))
STORED = [service for service in SERVICES if (ROOT / "services" / service / "migrations").exists()]

MODULES_PER_ROOM_MAX = 25
NODES_PER_FUNCTION_MEDIAN_MAX, NODES_PER_FUNCTION_MAX, NODES_PER_FILE_MAX = 60, 300, 2_500
# A file over the limit needs its reason here.
DENSE_FILES: dict[str, str] = {}
VERB = re.compile(r"[a-z]+_[a-z_]+")
WRONG_START = re.compile(r"(What|Who|Whoever|Whom|Whose|That)\b")


class Module(NamedTuple):
    """A module of a service. `name`: dotted. `imports`: dotted names of modules and of what is imported from them."""

    path: Path
    name: str
    tree: ast.Module
    imports: frozenset[str]

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def parts(self) -> list[str]:
        return self.name.split(".")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def modules(service: str) -> tuple[Module, ...]:
    base = ROOT / "services" / service / "src"
    return tuple(_module(path, base) for path in sorted((base / service).rglob("*.py")) if path.stem != "__init__")


def _module(path: Path, base: Path) -> Module:
    tree = parsed(path)
    imports = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.add(node.module)
            imports.update(f"{node.module}.{alias.name}" for alias in node.names)
    return Module(path, ".".join(path.relative_to(base).with_suffix("").parts), tree, frozenset(imports))


def calls(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for node in ast.walk(tree)
    )


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


# -- rooms


def test_a_room_has_at_most_25_modules() -> None:
    folders = {path.parent for path in SOURCES}
    crowded = {}
    for folder in folders:
        entries = [entry for entry in folder.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()]
        count = sum(entry.stem != "__init__" and entry.name != "tests" for entry in entries)
        if count > MODULES_PER_ROOM_MAX:
            crowded[relative(folder)] = count
    assert not crowded


# -- kinds


@pytest.mark.parametrize("service", SERVICES)
def test_a_module_with_a_route_is_named_by_a_verb_and_imported_by_main_only(service: str) -> None:
    verbs = {m.name for m in modules(service) if calls(m.tree, "APIRouter") and m.last != "main"}
    assert not [name for name in verbs if not VERB.fullmatch(name.rpartition(".")[2])]
    wrong = [
        f"{module.name} imports {name}"
        for module in modules(service)
        if module.last != "main"
        for name in verbs & module.imports
    ]
    assert not wrong


@pytest.mark.parametrize("service", SERVICES)
def test_the_ends_keep_to_their_kind(service: str) -> None:
    """`shapes` do no I/O, and every function of a store says what it returns."""
    wrong = []
    for module in modules(service):
        if module.last == "shapes" and any(name.startswith(("asyncpg", "shell.store")) for name in module.imports):
            wrong.append(f"{module.name} does I/O")
        if module.last == "store" or "store" in module.parts[:-1]:
            wrong += [f"{module.name}.{name} returns Any" for name in _untyped(module.tree)]
    assert not wrong


def _untyped(tree: ast.Module) -> Iterator[str]:
    for function in functions(tree):
        public = not function.name.startswith("_")
        if public and function.returns is not None and "Any" in ast.unparse(function.returns):
            yield function.name


@pytest.mark.parametrize("service", STORED)
def test_rows_are_read_in_the_store(service: str) -> None:
    """A row that is indexed by a column's name escapes the type checker."""
    wrong = []
    for module in modules(service):
        if module.last in {"store", "verify"} or "store" in module.parts[:-1]:
            continue
        for node in ast.walk(module.tree):
            by_name = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
            if by_name and ast.unparse(node.value) == "row" and isinstance(node.slice.value, str):
                wrong.append(f"{relative(module.path)}:{node.lineno}")
    assert not wrong


def test_a_read_is_one_expression_without_conditions() -> None:
    """Its body runs once, at import: `if after is None` would be decided there, without an error."""
    wrong = []
    for path in SOURCES:
        for function in functions(parsed(path)):
            if not any(ast.unparse(decorator).startswith("reads.") for decorator in function.decorator_list):
                continue
            body = function.body[1:] if ast.get_docstring(function) else function.body
            decides = any(isinstance(node, ast.IfExp | ast.BoolOp | ast.Is | ast.IsNot) for node in ast.walk(function))
            if [type(statement) for statement in body] != [ast.Return] or decides:
                wrong.append(f"{relative(path)}:{function.name}")
    assert not wrong


# -- density and words


def test_functions_and_files_are_not_dense() -> None:
    sizes = sorted(
        (sum(1 for _ in ast.walk(function)), f"{relative(path)}:{function.name}")
        for path in SOURCES
        for function in functions(parsed(path))
    )
    nodes = [size for size, _ in sizes]
    assert median(nodes) <= NODES_PER_FUNCTION_MEDIAN_MAX
    assert not [name for size, name in sizes if size > NODES_PER_FUNCTION_MAX]
    dense = {relative(path): sum(1 for _ in ast.walk(parsed(path))) for path in SOURCES}
    assert not {name: size for name, size in dense.items() if size > NODES_PER_FILE_MAX and name not in DENSE_FILES}


def test_sentences_begin_with_their_subject() -> None:
    wrong = []
    for path in (*SOURCES, *TESTS):
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                continue
            for sentence in re.split(r"(?<=[.!?:;])\s+", ast.get_docstring(node) or ""):
                if WRONG_START.match(sentence):
                    wrong.append(f"{relative(path)}: {sentence[:60]}")
    assert not wrong
