"""No test uses other programs, the caller's environment or the data of the checkout."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from shouwang.isolation import FIRST_FREE_PORT, wrong_address, wrong_child, wrong_file
from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.processes import FREE_PORTS

LEFT_OVER = {
    "SHOUWANG_DATABASE_URL_SUBSIDY": "postgresql://db.example/real_money",
    "SHOUWANG_DEMO": "1",
    "SHOUWANG_HOME": str(REPOSITORY / ".shouwang"),
    "SHOUWANG_KAFKA": "127.0.0.1:9092",
    "CRASH_AT": "after_commit",
}


def run_as_test(folder: Path, *bodies: str, **more: str) -> tuple[int, str]:
    """Run tests with these bodies in their own pytest with left-over variables; exit code and output."""
    file = folder / "test_one.py"
    tests = [f"def test_{n}():\n{textwrap.indent(body, '    ')}\n" for n, body in enumerate(bodies)]
    file.write_text("import os, socket, subprocess, sys\n" + "\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "shouwang.isolation", "--rootdir", str(folder), str(file)]
    # a process between them sets the variables: this test may not start a child with them
    starter = f"import os, sys; os.environ.update({LEFT_OVER | more!r}); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", starter, *command], capture_output=True, text=True, timeout=60, cwd=folder
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("port", [5432, 8100, 8106, 9092, 54320])
def test_a_test_that_connects_to_a_fixed_port_fails_also_if_the_code_hides_it(tmp_path: Path, port: int) -> None:
    hidden = f"try:\n    socket.create_connection(('127.0.0.1', {port}))\nexcept Exception:\n    pass"
    code, output = run_as_test(tmp_path, hidden)
    assert (code, f"port {port} is fixed" in output) == (1, True), output


def test_a_test_that_listens_on_a_fixed_port_fails(tmp_path: Path) -> None:
    code, output = run_as_test(tmp_path, "with socket.socket() as s:\n    s.bind(('127.0.0.1', 8103))")
    assert (code, "port 8103 is fixed" in output) == (1, True), output


@pytest.mark.parametrize(
    ("arguments", "env", "reason"),
    [
        (["--port", "8101"], {}, "fixed port 8101"),
        ([], {"SHOUWANG_KAFKA": "localhost:9092"}, "fixed port 9092"),
        ([], {"SHOUWANG_URL_SUPERVISION": "http://127.0.0.1:8106/"}, "fixed port 8106"),
        ([], {"SHOUWANG_HOME": str(REPOSITORY / ".shouwang")}, "no SHOUWANG_HOME of its own"),
    ],
)
def test_a_test_that_starts_a_child_on_shared_ports_or_data_fails(
    tmp_path: Path, arguments: list[str], env: dict[str, str], reason: str
) -> None:
    start = f"subprocess.run([sys.executable, '-c', 'pass', *{arguments!r}], env={{**os.environ, **{env!r}}})"
    code, output = run_as_test(tmp_path, start)
    assert (code, reason in output) == (1, True), output


def test_a_test_does_not_see_the_variables_of_the_caller(tmp_path: Path) -> None:
    names = sorted(set(LEFT_OVER) - {"SHOUWANG_HOME"})
    body = f"assert not [name for name in {names!r} if name in os.environ]\n"
    body += f"assert os.environ['SHOUWANG_HOME'] != {LEFT_OVER['SHOUWANG_HOME']!r}\n"
    body += "print(os.environ['SHOUWANG_HOME'])\nassert os.path.isdir(os.environ['SHOUWANG_HOME'])"
    code, output = run_as_test(tmp_path, body)
    assert code == 0, output


def test_the_temporary_home_of_a_test_process_is_removed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    code, output = run_as_test(
        tmp_path, f"with open({str(note)!r}, 'w') as note:\n    note.write(os.environ['SHOUWANG_HOME'])"
    )
    assert code == 0, output
    assert note.read_text()
    assert not Path(note.read_text()).exists()


def test_variables_that_a_test_sets_do_not_reach_the_next_one(tmp_path: Path) -> None:
    code, output = run_as_test(
        tmp_path, "os.environ['SHOUWANG_DEMO'] = '1'", "assert 'SHOUWANG_DEMO' not in os.environ"
    )
    assert code == 0, output


def test_a_database_server_that_the_caller_gives_for_tests_is_allowed(tmp_path: Path) -> None:
    ask = "try:\n    socket.create_connection(('127.0.0.1', 5432), timeout=1).close()\nexcept OSError:\n    pass"
    code, output = run_as_test(tmp_path, ask, SHOUWANG_TEST_POSTGRES="postgresql://postgres@127.0.0.1:5432")
    assert code == 0, output


def test_free_ports_of_this_machine_are_allowed() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = listener.getsockname()
        assert wrong_address(address) is None
        with socket.create_connection(address):
            pass
    assert all(wrong_address(("127.0.0.1", port)) is None for port in FREE_PORTS[:: len(FREE_PORTS) // 50])
    assert wrong_address("/run/some.socket") is None


@pytest.mark.parametrize("address", [("192.0.2.1", 443), ("2001:db8::1", 443, 0, 0), ("db.example", 20_000)])
def test_another_machine_is_refused(address: tuple[object, ...]) -> None:
    assert "is another machine" in (wrong_address(address) or "")


def test_a_port_below_those_chosen_at_random_is_fixed() -> None:
    assert "is fixed" in (wrong_address(("127.0.0.1", FIRST_FREE_PORT - 1)) or "")


def test_words_that_only_look_like_a_port_are_allowed_in_a_command() -> None:
    own = {"SHOUWANG_HOME": "/tmp/home"}
    assert wrong_child(["sleep", "60"], {}) is None
    assert wrong_child(["python", "-c", "print(9092.5)", "18101", "/data/8106/x"], own) is None


def test_data_of_the_default_home_is_refused_but_downloads_are_not() -> None:
    home = REPOSITORY / ".shouwang"
    assert wrong_file(str(home / "jars" / "kafka.jar")) is None
    assert wrong_file(str(home / "test-postgres" / "port")) is None
    assert wrong_file(str(home / "keys" / "vault.json")) is not None
    assert wrong_file(str(home / "clock")) is not None
    assert wrong_file("/somewhere/.shouwang/clock") is None
