"""Pid files, ports and services as child processes."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from shouwang.runtime import lifecycle, paths, processes
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.supervise import Backoff

APP = """
import os
from fastapi import FastAPI
app = FastAPI()
@app.get("/readyz")
def ready() -> dict[str, object]:
    return {"ready": True} | {name: value for name, value in os.environ.items() if name.startswith("SHOUWANG_")}
"""


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A home whose service `tiny` is a web application of five lines, and whose `broken` does not start."""
    stalled = APP.replace('{"ready": True}', '{"ready": False}')
    for name, text in {"tiny": APP, "stalled": stalled, "broken": "raise SystemExit('no luck today')"}.items():
        (tmp_path / "code" / name).mkdir(parents=True)
        (tmp_path / "code" / name / "__init__.py").touch()
        (tmp_path / "code" / name / "main.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    return Runtime(tmp_path / "home")


def test_a_pid_file_is_valid_only_while_its_own_process_runs(tmp_path: Path) -> None:
    pid_file = tmp_path / "x.pid"
    child = processes.spawn(["sleep", "60"], log=tmp_path / "x.log", pid_file=pid_file)
    assert processes.living_pid(pid_file) == child
    processes.kill(child)
    assert processes.living_pid(pid_file) is None
    pid_file.write_text(f"{os.getpid()} 12345.00")  # the pid lives, but began at another time
    assert processes.living_pid(pid_file) is None
    pid_file.write_text("garbage")
    assert processes.living_pid(pid_file) is None


def test_a_process_and_its_session_get_the_nice_value(tmp_path: Path) -> None:
    usual = processes.spawn(["sleep", "60"], log=tmp_path / "log", pid_file=tmp_path / "usual.pid")
    several = [  # several at the same time: the system limits the changes of an ordinary user
        processes.spawn(["sleep", "60"], log=tmp_path / "log", pid_file=tmp_path / f"{n}.pid", nice=15)
        for n in range(3)
    ]
    assert psutil.Process(usual).nice() == psutil.Process().nice()
    assert [psutil.Process(pid).nice() for pid in several] == [15] * 3
    sessions = [path for pid in several if (path := Path(f"/proc/{pid}/autogroup")).exists()]
    assert [path.read_text().split()[-1] for path in sessions] == ["15"] * len(sessions)  # not every system has them
    for pid in (usual, *several):
        processes.kill(pid)


def test_services_get_the_nice_values_of_the_list_of_processes_but_not_in_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(tmp_path)
    assert {runtime.nice_of(process.name) for process in runtime.processes} == {0}
    monkeypatch.delenv("SHOUWANG_STEP_BACK")
    assert runtime.nice_of("dispatch") == 19
    assert runtime.nice_of("ingestion") == runtime.nice_of("no-such-service") == 0


def test_a_child_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; sleep 60 & echo $!; wait; wait"
    child = processes.spawn(["bash", "-c", stubborn], log=tmp_path / "log", pid_file=tmp_path / "pid")
    assert processes.wait_until(lambda: (tmp_path / "log").read_text().strip() != "", 5)
    grandchild = int((tmp_path / "log").read_text())
    processes.stop(child, seconds=0.2)
    assert processes.is_gone(child)
    assert processes.is_gone(grandchild)


HALF_DEAD = """\
import ctypes, os, socket, threading, time
held = socket.create_server(("127.0.0.1", {port}))
threading.Thread(target=lambda: (time.sleep(1), os._exit(0))).start()
ctypes.CDLL(None).syscall({exit}, 0)
"""


def test_a_process_with_a_running_second_thread_still_holds_its_port(tmp_path: Path) -> None:
    port, number_of_exit = processes.free_port(), {"x86_64": 60, "aarch64": 93}[platform.machine()]
    script = HALF_DEAD.format(port=port, exit=number_of_exit)
    child = processes.spawn([sys.executable, "-c", script], log=tmp_path / "log", pid_file=tmp_path / "pid")
    assert processes.wait_until(lambda: psutil.Process(child).status() == psutil.STATUS_ZOMBIE, 5)
    assert not processes.is_gone(child)
    assert processes.wait_until(lambda: processes.is_gone(child), 5)
    assert not processes.is_listening(port)


def test_a_killed_service_starts_again_on_its_port(runtime: Runtime) -> None:
    try:
        first = runtime.start_service("tiny", env={"SHOUWANG_DEMO": "1"})
        runtime.wait_ready("tiny", seconds=20)
        assert runtime.start_service("tiny") == first
        url = runtime.service_url("tiny")
        runtime.kill("tiny")
        assert runtime.pid("tiny") is None
        assert not runtime.is_ready("tiny")
        assert runtime.start_service("tiny") != first
        runtime.wait_ready("tiny", seconds=20)
        assert runtime.service_url("tiny") == url
    finally:
        runtime.stop_all()
    assert runtime.running() == {}


def test_a_service_whose_parts_do_not_all_run_answers_but_is_not_ready(runtime: Runtime) -> None:
    try:
        runtime.start_service("stalled")
        with pytest.raises(LocalProblem, match=r"stalled was not ready within 3 s .*false"):
            runtime.wait_ready("stalled", seconds=3)
    finally:
        runtime.stop_all()


def test_a_further_replica_has_its_own_port_and_process(runtime: Runtime) -> None:
    try:
        assert runtime.start_service("tiny", replica=1) != runtime.start_service("tiny")
        runtime.wait_ready("tiny", replica=1, seconds=20)
        runtime.wait_ready("tiny", seconds=20)
        assert set(runtime.running()) == {"tiny", "tiny-1"}
        runtime.stop("tiny", replica=1)
        assert set(runtime.running()) == {"tiny"}
    finally:
        runtime.stop_all()


def test_a_service_that_dies_at_the_start_is_reported_with_the_end_of_its_log(runtime: Runtime) -> None:
    runtime.start_service("broken")
    with pytest.raises(LocalProblem, match=r"(?s)broken died; its log .*no luck today"):
        runtime.wait_ready("broken", seconds=20)


def test_a_service_sees_its_own_database_and_no_other(runtime: Runtime) -> None:
    env = runtime.environment("subsidy")
    databases = {name for name in env if name.startswith("SHOUWANG_DATABASE_URL_")}
    assert databases == {"SHOUWANG_DATABASE_URL_SUBSIDY"}
    assert env["SHOUWANG_DATABASE_URL_SUBSIDY"].endswith("/subsidy")
    assert env["SHOUWANG_URL_INGESTION"] == runtime.service_url("ingestion")
    assert not [name for name in runtime.environment("console") if "DATABASE" in name]


def test_a_given_kafka_and_database_take_the_place_of_the_local_ones(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_KAFKA", "kafka.example:9092")
    monkeypatch.setenv("SHOUWANG_DATABASE_URL_SUBSIDY", "postgresql://db.example/money")
    runtime.start_kafka()
    assert runtime.running() == {}
    assert runtime.kafka_address == "kafka.example:9092"
    assert runtime.environment("subsidy")["SHOUWANG_DATABASE_URL_SUBSIDY"] == "postgresql://db.example/money"


def test_a_taken_port_is_one_sentence_with_its_program_and_a_solution(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(LocalProblem) as problem:
            processes.require_free(other.getsockname()[1], "Kafka", "set SHOUWANG_KAFKA to your own")
    assert "which Kafka needs, is taken by " in str(problem.value)
    assert str(problem.value).endswith("set SHOUWANG_KAFKA to your own.")
    assert f"pid {os.getpid()}" in str(problem.value)


def test_up_finds_a_taken_service_port_before_it_starts_anything(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path, ports="fixed")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        runtime.ports.fixed |= {process.name: processes.free_port() for process in runtime.processes}
        runtime.ports.fixed["console"] = other.getsockname()[1]
        with pytest.raises(LocalProblem, match=r"which console needs, is taken by .*set SHOUWANG_HOME to another"):
            lifecycle.up(runtime)
    assert runtime.running() == {}


def test_ports_are_kept_over_restarts_and_differ_from_each_other(tmp_path: Path) -> None:
    first, second = Runtime(tmp_path), Runtime(tmp_path)
    names = ["kafka", "kafka-controller", "postgres", *(process.name for process in first.processes)]
    chosen = [first.ports.get(name) for name in names]
    assert [second.ports.get(name) for name in names] == chosen
    assert len(set(chosen)) == len(names)


def test_the_default_home_has_the_ports_of_the_interface(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path, ports="fixed")
    assert runtime.kafka_address == "127.0.0.1:9092"
    assert runtime.service_url("console") == "http://127.0.0.1:8100"
    assert runtime.service_url("supervision") == "http://127.0.0.1:8106"


def test_a_nearly_full_disk_is_an_error_before_the_first_write(tmp_path: Path) -> None:
    with pytest.raises(LocalProblem, match="MiB free but 999999999 MiB are needed: free some space"):
        paths.require_free_space(tmp_path / "not" / "there" / "yet", 999_999_999)


def test_a_process_that_dies_again_and_again_is_started_with_increasing_delays() -> None:
    backoff = Backoff()
    starts = [now for now in range(120) if backoff.may_start(float(now))]
    assert starts == [0, 1, 3, 7, 15, 31, 61, 91]
    assert backoff.may_start(200.0)
    assert backoff.may_start(201.0)


def test_a_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    starter = (
        "from pathlib import Path; from shouwang.runtime import processes; "
        "processes.spawn(['sleep', '60'], log=Path('log'), pid_file=Path('pid'))"
    )
    subprocess.run([sys.executable, "-c", starter], check=True, cwd=tmp_path)
    pid = processes.living_pid(tmp_path / "pid")
    assert pid is not None
    processes.kill(pid)


def test_a_process_that_was_ready_once_has_started_even_if_a_store_is_away_again() -> None:
    looks = iter([False, True, False, False])
    assert processes.wait_for_start(lambda: next(looks), lambda: False, 5)
    assert not processes.wait_for_start(lambda: False, lambda: True, 5)
    assert not processes.wait_for_start(lambda: False, lambda: False, 0.05)


def test_the_last_error_of_a_log_is_found_with_its_trace(tmp_path: Path) -> None:
    log = tmp_path / "tiny.log"
    log.write_text("2026-11-22 12:00:00,000 WARNING x waits\n")
    assert processes.last_error(log) == ""
    error = "ERROR:    Exception in ASGI application\nTraceback:\n  a\nZeroDivisionError"
    log.write_text(f"{error}\n2026-11-22 12:00 INFO x\n")
    assert processes.last_error(log) == error


def test_the_status_needs_no_cluster_if_all_databases_are_external(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = Runtime(tmp_path)
    assert not lifecycle.status(runtime)
    assert "postgres" in capsys.readouterr().out
    for service in runtime.stored:
        monkeypatch.setenv(f"SHOUWANG_DATABASE_URL_{service.upper()}", f"postgresql://127.0.0.1/{service}")
    lifecycle.status(runtime)
    assert "postgres" not in capsys.readouterr().out
