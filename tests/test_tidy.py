"""The house rules a machine can keep. This file is the checklist for adding a service, so it cannot rot."""

import ast
import configparser
import importlib
import inspect
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists())
SOURCES = sorted(
    path
    for pattern in ("libs/*/src/**/*.py", "services/*/src/**/*.py", "tools/*/src/**/*.py")
    for path in ROOT.glob(pattern)
)
STORED = tuple(name for name in SERVICES if (ROOT / "services" / name / "migrations").exists())
# A function or file over the limit needs its reason here.
LONG_FUNCTIONS: dict[str, str] = {}
LONG_FILES: dict[str, str] = {}
FUNCTION_LINES_MAX, FILE_LINES_MAX = 50, 300
PURE = {
    "datetime",
    "decimal",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "itertools",
    "typing",
    "math",
    "re",
    "types",
}
PURE |= {"__future__", "bisect", "hashlib", "operator", "unicodedata", "uuid", "zlib", "msgspec", "fractions"}
PURE_OURS = ("common", "rules")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def grep(pattern: str, *, but: tuple[str, ...] = ()) -> list[str]:
    found = []
    for path in SOURCES:
        if relative(path) in but:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(pattern, line.partition("  # ")[0]):
                found.append(f"{relative(path)}:{number}: {line.strip()}")
    return found


def require(places: dict[str, bool]) -> None:
    """Assert that every place is right. One run names all wrong places."""
    wrong = [place for place, is_right in places.items() if not is_right]
    assert not wrong, "add or correct " + "; ".join(wrong)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_stands_everywhere(service: str) -> None:
    """In the workspace, in compose, in the Kubernetes base, in the process list and in both READMEs."""
    package, folder, base = f"shouwang-{service}", ROOT / "services" / service, f"deploy/k8s/base/{service}.yaml"
    root, own = (tomllib.loads((place / "pyproject.toml").read_text()) for place in (ROOT, folder))
    module_name = own["tool"]["uv"].get("build-backend", {}).get("module-name")
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    processes = yaml.safe_load((ROOT / "deploy/local/processes.yaml").read_text())["processes"]
    port = {process["name"]: process["port"] for process in processes}.get(service)
    stands = {
        f"pyproject.toml: dependency {package}": package in root["project"]["dependencies"],
        f"services/{service}/pyproject.toml: name {package}": own["project"]["name"] == package,
        f"services/{service}/pyproject.toml: module-name {service}": module_name == service,
        f"services/{service}/src/{service}/__init__.py, empty": (folder / "src" / service / "__init__.py").exists(),
        f"docker-compose.yml: service {service}": service in composed,
        base: (ROOT / base).exists(),
        f"deploy/local/processes.yaml: process {service}": port is not None,
    }
    row = re.compile(rf"^\| `{service}`[^|]*\| {port} \|", re.MULTILINE)
    for readme in ("README.md", "README.zh-CN.md"):
        place = f"{readme}: row of `{service}` with port {port} as in processes.yaml"
        stands[place] = row.search((ROOT / readme).read_text()) is not None
    require(stands)


def test_the_list_of_services_is_the_folders() -> None:
    from shouwang.runtime import services

    assert sorted(services.SERVICES) == SERVICES
    assert sorted(services.STORED) == list(STORED)
    ports = [process.port for process in services.load_processes()]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_a_layer_of_its_own(service: str) -> None:
    """A root package that `.importlinter` does not name is not looked at."""
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter")
    named = {
        "root_packages": rules["importlinter"]["root_packages"].split(),
        "contract:services": rules["importlinter:contract:services"]["modules"].split(),
        "contract:layers": re.split(r"[\s|]+", rules["importlinter:contract:layers"]["layers"]),
    }
    require({f".importlinter: {service} in {part}": service in names for part, names in named.items()})


@pytest.mark.parametrize("service", STORED)
def test_every_service_with_a_database_can_be_operated(service: str) -> None:
    """Its parked records and its audit log have a topic, its routes a description. Its store has a check with a size,
    and a rule for quiet."""
    from shell.kafka.topics import load_topics
    from shouwang.invariants import backlog

    main, verify = (importlib.import_module(f"{service}.{name}") for name in ("main", "verify"))
    arguments = list(inspect.signature(verify.check).parameters)
    parked = [(topic.owner, topic.events) for topic in load_topics() if topic.name == f"{service}.parked"]
    audit = [(topic.owner, topic.events) for topic in load_topics() if topic.name == f"{service}.audit"]
    openapi, base = f"contracts/openapi/{service}.json", f"services/{service}/src/{service}"
    stands = {
        f"{base}/main.py: Service('{service}', …)": main.service.name == service,
        f"{base}/verify.py: check(database, today)": arguments == ["database", "today"],
        f"{base}/verify.py: SIZE, SELECT count(*) …": verify.SIZE.startswith("SELECT count(*)"),
        f"contracts/topics.yaml: {service}.parked, its owner and event": parked == [(service, ["RecordParked"])],
        f"contracts/topics.yaml: {service}.audit, its owner and event": audit == [(service, ["AuditSealed"])],
        f"{openapi}, by `make contracts`": (ROOT / openapi).exists(),
        f"tools/shouwang/src/shouwang/invariants/backlog.py: DUE of {service}": service in backlog.DUE,
    }
    require(stands)


def readers_of(topic: str) -> set[str]:
    patterns = {service: importlib.import_module(f"{service}.main").service.handlers.pattern() for service in STORED}
    return {service for service, pattern in patterns.items() if re.fullmatch(pattern, topic)}


def test_every_reader_of_entitlements_is_compared_with_identification() -> None:
    from common.events import EntitlementsDecided
    from shouwang.invariants import consistency

    readers = readers_of(EntitlementsDecided.topic)
    assert set(consistency.APPLIED) == readers, "APPLIED of tools/shouwang/src/shouwang/invariants/consistency.py"


def test_a_relay_waits_only_for_readers_of_its_topic() -> None:
    """A group that does not read the topic never moves."""
    from shell.kafka.topics import load_topics

    paced = {topic.name: topic.pace.consumers for topic in load_topics() if topic.pace is not None}
    wrong = {name: sorted(set(consumers) - readers_of(name)) for name, consumers in paced.items()}
    assert not any(wrong.values()), f"`pace.consumers` of contracts/topics.yaml: {wrong}"


@pytest.mark.parametrize("service", STORED)
def test_every_service_has_its_rooms(service: str) -> None:
    folder = ROOT / "services" / service
    needed = [f"src/{service}/{name}" for name in ("main.py", "tables.py", "verify.py", "py.typed")]
    needed += [f"src/{service}/**/domain*", f"src/{service}/**/store*", "tests/test_tables.py"]
    needed += ["migrations/env.py", "migrations/script.py.mako", "migrations/versions/0001_initial.py"]
    require({f"services/{service}/{pattern}": any(folder.glob(pattern)) for pattern in needed})
    compared = re.findall(r'schema_differences\("(\w+)"\)', (folder / "tests" / "test_tables.py").read_text())
    assert compared == [service], f"services/{service}/tests/test_tables.py: schema_differences of {service}"
    for path in (folder / "tests").glob("*.py"):
        opened = set(re.findall(r'migrated_database\("(\w+)"\)', path.read_text()))
        assert opened <= {service}, f"{relative(path)}: migrated_database of {service}"


def is_domain(name: str, service: str) -> bool:
    parts = name.split(".")
    return parts[0] == service and "domain" in parts


def test_the_domain_does_no_io() -> None:
    wrong = []
    for service in SERVICES:
        base = ROOT / "services" / service / "src" / service
        for path in [*base.rglob("domain.py"), *base.glob("**/domain/*.py")]:
            for name in imports(path):
                pure = name.partition(".")[0] in PURE or name.startswith(PURE_OURS) or is_domain(name, service)
                if not pure:
                    wrong.append(f"{relative(path)} imports {name}")
    assert not wrong


def test_only_the_transaction_helper_commits() -> None:
    committers = ("libs/shell/src/shell/store/database.py", "libs/shell/src/shell/kafka/consumer.py")
    assert not grep(r"\.commit\(", but=committers)


def test_only_the_clock_reads_the_time() -> None:
    assert not grep(r"datetime\.(now|utcnow|today)\(|date\.today\(", but=("libs/shell/src/shell/clock.py",))


# Tests plan crashes by variables; test helpers and the local runtime pass the environment on.
READS_ENVIRONMENT = ("libs/shell/src/shell/faults.py", "libs/shell/src/shell/testing.py")
READS_ENVIRONMENT_BELOW = ("tools/",)


def test_only_settings_modules_read_the_environment() -> None:
    found = grep(r"\b(environ|getenv)\b(?! of)|BaseSettings", but=READS_ENVIRONMENT)
    assert not [line for line in found if "/settings.py:" not in line and not line.startswith(READS_ENVIRONMENT_BELOW)]


# Journeys and trials make clients with other options than services.
MAKES_CLIENTS = ("tools/shouwang/src/shouwang/stories/", "tools/shouwang/src/shouwang/trials/")


def test_every_client_of_kafka_gives_user_and_password() -> None:
    found = grep(r"\bAIOKafka(AdminClient|Consumer|Producer|Client)\(", but=("libs/shell/src/shell/kafka/client.py",))
    assert not [line for line in found if not line.startswith(MAKES_CLIENTS)]
    assert not grep(r"bootstrap_servers\s*=")


def test_one_module_uses_the_admin_client_of_confluent_kafka() -> None:
    """It creates users and grants, with the password of Kafka's super user."""
    assert not grep(r"\bconfluent_kafka\b", but=("tools/shouwang/src/shouwang/runtime/kafka_grants.py",))


def test_no_code_guesses_whether_kafka_is_a_cluster() -> None:
    assert not grep(r"""["'],["'] in .*kafka|describe_cluster""")


def test_a_human_with_two_accounts_acts_once() -> None:
    """Code that stores or compares who acted uses `caller.user`. The audit log also names the account."""
    accounts = ("libs/shell/src/shell/http/idempotency.py", "libs/shell/src/shell/access/scopes.py")
    found = grep(r"\bcaller\.subject\b", but=accounts)
    assert [line for line in found if "/shell/audit/" not in line] == []


def test_no_service_signs_a_token() -> None:
    """The private key of the local issuer belongs to the command line and to tests."""
    found = grep(r"\b(?:issue_token|signing_key|local_issuer|create_keys)\b")
    assert [line for line in found if line.startswith("services/")] == []


def test_the_pattern_of_a_code_is_written_once() -> None:
    """Areas, divisions, UUIDs and months: `common.patterns`."""
    hides_numbers = "services/ingestion/src/ingestion/reading/faults.py"  # any six digits
    found = grep(
        r"(\[0-9\]|\\d)\{6\}|\[0-9a-f\]\{8\}|20(\[0-9\]|\\d)\{2\}-",
        but=("libs/common/src/common/patterns.py", hides_numbers),
    )
    assert not found


def test_no_float_near_money() -> None:
    wrong = grep(r"float\(.*(fen|amount)|(fen|amount)\w*\s*:\s*float|/\s*100\b.*(fen|amount)")
    assert not wrong


# Where everything may be caught, and what is done with it. (`except BaseException` that raises again is a clean-up.)
CATCHERS = {
    "libs/shell/src/shell/halving.py": "repeated, halved, or handed to the caller's `reject`",
    "libs/shell/src/shell/kafka/consumer.py": "logged; it waits and connects again",
    "libs/shell/src/shell/kafka/relay.py": "logged; the outbox must go on",
    "libs/shell/src/shell/jobs.py": "logged; tried again at its next turn, or the one thing laid aside",
    "libs/shell/src/shell/kafka/client.py": "logged; a client that cannot stop is taken apart",
    "libs/shell/src/shell/watchdog.py": "logged; the question is asked again at the next look",
    "libs/shell/src/shell/platform_routes.py": "told to the prober",
    "services/ingestion/src/ingestion/files/run_imports.py": "the file fails",
    "services/ingestion/src/ingestion/exchange/run_feeds.py": "the feed fails",
}


def test_nobody_but_the_machinery_catches_everything() -> None:
    assert not grep(r"except Exception\b|except:", but=tuple(CATCHERS))


def test_functions_and_files_stay_readable() -> None:
    long = []
    for path in SOURCES:
        name, text = relative(path), path.read_text()
        lines = text.count("\n")
        if lines > FILE_LINES_MAX and name not in LONG_FILES:
            long.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION_LINES_MAX and f"{name}:{node.name}" not in LONG_FUNCTIONS:
                    long.append(f"{name}:{node.name}: {length} lines")
    assert not long


# The first part of a topic's name is its owner, but for these.
OWNERS = {"policy": "identification", "population": "ingestion"}


def test_every_topic_has_its_owner_and_its_row_in_the_architecture() -> None:
    from shell.kafka.topics import load_topics

    described = (ROOT / "docs" / "architecture.md").read_text()
    for topic in load_topics():
        first, _, noun = topic.name.partition(".")
        assert topic.owner == OWNERS.get(first, first), f"contracts/topics.yaml: owner of {topic.name}"
        assert topic.owner in SERVICES, f"contracts/topics.yaml: owner of {topic.name}"
        row = f"`<service>.{noun}`" if noun in {"parked", "audit"} else f"`{topic.name}`"
        assert row in described, f"docs/architecture.md: the table of topics lacks {topic.name}"


def test_every_event_has_its_topic_and_every_topic_its_events() -> None:
    from common.events import all_events
    from shell.kafka.topics import load_topics

    topics = load_topics()
    named = {event for topic in topics for event in topic.events}
    run_time = {"TaskOffered", "TaskWithdrawn", "TaskReply"}  # topics of providers are made when they subscribe
    assert named | run_time == {cls.__name__ for cls in all_events().values()}
    for topic in topics:
        classes = [cls for cls in all_events().values() if cls.__name__ in topic.events]
        assert all(cls.state == (topic.cleanup == "compact") for cls in classes), topic.name


def test_no_word_of_the_workshop() -> None:
    """The project speaks of the project alone."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    pattern = re.compile(r"(^|[^A-Za-z0-9_.])/(root|home|work)/[a-z]|\.\./shared|\.library\b", re.MULTILINE)
    wrong = []
    for name in filter(None, listed):
        path = ROOT / name
        if path.suffix in {".lock", ".png"} or name == "tests/test_tidy.py" or not path.is_file():
            continue
        if pattern.search(path.read_text(errors="replace")):
            wrong.append(name)
    assert not wrong


# These tests speak of fixed ports and never use one: `shouwang.isolation` watches them like all others.
NAME_FIXED_PORTS = {"tools/shouwang/tests/test_isolation.py", "tools/shouwang/tests/test_processes.py"}


def test_no_cancellation_is_lost() -> None:
    """`asyncio.wait_for` of Python 3.11 loses a cancellation that comes with the result; `timeout` does not."""
    found = [str(path) for path in SOURCES if "asyncio.wait_for(" in path.read_text()]
    assert not found


def test_no_test_names_a_fixed_port() -> None:
    """`shouwang.isolation` sees what Python code connects to; this also covers database drivers written in C."""
    tests = [*ROOT.glob("*/*/tests/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/tests/*.py")]
    assert len(tests) > 100
    wrong = []
    for path in tests:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            ports = re.findall(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::|[\"'], )(\d+)", line)
            if any(0 < int(port) < 15_000 for port in ports) and relative(path) not in NAME_FIXED_PORTS:
                wrong.append(f"{relative(path)}:{number}: {line.strip()}")
    assert not wrong


def test_no_policy_number_in_python() -> None:
    """Ages and amounts that come from documents live in contracts/policy."""
    assert not grep(r"\b(age|years)\w*\s*(>=|>|<|<=)\s*(60|65|80|90|100)\b")
