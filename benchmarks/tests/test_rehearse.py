"""Tests of the rehearsals: the list, time limits, clean-up, and the content of the log."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from shouwang.runtime import processes
from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.problems import LocalProblem

from benchmarks.rehearse import log, plan, runner
from benchmarks.rehearse.__main__ import main
from benchmarks.rehearse.plan import Rehearsal

NUMBER = "530302" + "19400305" + "0014"  # no real ID number: the check digit is wrong
PHONE = "139" + "00000000"


def rehearsal(script: str, minutes: int = 1) -> Rehearsal:
    return Rehearsal("one", "It shows something.", ("python", "-c", script), minutes)


def run(one: Rehearsal, folder: Path) -> runner.Outcome:
    return runner.run(one, lambda line: None, folder)


def command_of(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def write_list(folder: Path, *entries: dict[str, object]) -> Path:
    file = folder / "list.yaml"
    file.write_text(json.dumps({"rehearsals": entries}))  # JSON is YAML
    return file


def listed(name: str = "one", **given: object) -> dict[str, object]:
    return {"name": name, "shows": "x", "command": "python -c pass", "minutes": 1} | given


def test_every_rehearsal_of_the_list_names_existing_files() -> None:
    for one in plan.load():
        for word in one.command:
            if word.endswith(".py"):
                assert (REPOSITORY / word).exists(), word
        assert one.shows.endswith(".")


def test_a_test_file_is_a_rehearsal_without_an_entry_and_its_docstring_says_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "test_long_work.py").write_text('"""Long work ends well.\n\nMore."""\n')
    (found,) = plan.load(write_list(tmp_path), tmp_path)
    assert (found.name, found.shows) == ("long-work", "Long work ends well.")
    assert found.command == ("pytest", str(tmp_path / "test_long_work.py"))
    (tmp_path / "test_long_work.py").write_text("x = 1\n")
    with pytest.raises(LocalProblem, match=r"test_long_work\.py: its docstring must say what it shows"):
        plan.load(write_list(tmp_path), tmp_path)


def test_an_entry_of_the_list_replaces_the_defaults_of_a_test_file(tmp_path: Path) -> None:
    (tmp_path / "test_long_work.py").write_text('"""Long."""\n')
    command = f"pytest {tmp_path / 'test_long_work.py'}"
    (found,) = plan.load(write_list(tmp_path, listed("slow", command=command, minutes=40)), tmp_path)
    assert (found.name, found.minutes, found.seconds_max) == ("slow", 40, 40 * 60 * 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (listed("Big Name"), "entry 1: `Big Name` is no name"),
        (listed(minutes=0), "entry 1: minutes must be"),
        (listed(minutes=9_999), "entry 1: minutes must be"),
        (listed(command="rm -r x"), "entry 1: the command must start with"),
        (listed(command=""), "entry 1: the command must start with"),
        (listed(more=1), "entry 1: it needs name"),
        ({"name": "one"}, "entry 1: it needs name"),
    ],
)
def test_a_fault_of_the_list_is_reported_with_its_position(
    tmp_path: Path, entry: dict[str, object], message: str
) -> None:
    with pytest.raises(LocalProblem, match=message):
        plan.load(write_list(tmp_path, entry), tmp_path)


def test_duplicate_names_and_unknown_names_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(LocalProblem, match="two rehearsals have the name one"):
        plan.load(write_list(tmp_path, listed(), listed()), tmp_path)
    known = plan.load(write_list(tmp_path, listed(), listed("two")), tmp_path)
    assert [one.name for one in plan.choose(known, ["two"])] == ["two"]
    assert plan.choose(known, []) == known
    with pytest.raises(LocalProblem, match="no rehearsal three: choose from one, two"):
        plan.choose(known, ["three"])


def test_figures_reach_the_log_and_text_does_not(tmp_path: Path) -> None:
    script = "import os; open(os.environ['SHOUWANG_FIGURES'], 'w').write('{}')"
    found = run(rehearsal(script.format('{"name":"broker_kills","value":30}')), tmp_path)
    assert (found.fault, found.figures) == (None, {"broker_kills": 30})
    for text in ('{"name":"person","value":"x"}', f'{{"name":"{NUMBER}","value":1}}', "half a li"):
        found = run(rehearsal(script.format(text)), tmp_path)
        assert (found.fault, found.figures) == ("its figures are malformed", {})


def test_a_broken_report_of_tests_fails_the_rehearsal(tmp_path: Path) -> None:
    script = "import os; open(os.path.join(os.environ['TMPDIR'], 'junit.xml'), 'w').write('<testsuites>')"
    assert run(rehearsal(script), tmp_path).fault == "its figures are malformed"
    assert run(rehearsal(f"{script}; raise SystemExit(3)"), tmp_path).fault == "exit code 3"


def test_numbers_of_people_are_masked_in_the_output(tmp_path: Path) -> None:
    assert run(rehearsal(f"print('person {NUMBER}, phone {PHONE}, event 17'); raise SystemExit(3)"), tmp_path).fault
    assert (tmp_path / "one.log").read_text() == "person (number), phone (number), event 17\n"


def test_a_rehearsal_over_its_time_limit_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LIMIT_FACTOR", 0.05)
    mark = f"60.{os.getpid()}"
    found = run(rehearsal(f"import subprocess; subprocess.Popen(['sleep', '{mark}']).wait()"), tmp_path)
    assert found.fault == "not done within 0 minutes"
    assert 3 <= found.seconds < 60
    assert not [pid for pid in psutil.pids() if mark in command_of(pid)]


def test_a_process_left_running_is_stopped_and_fails_the_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "END_SECONDS_MAX", 1.0)
    start = "subprocess.Popen(['sleep', '60'], start_new_session=True, stdout=subprocess.DEVNULL)"
    script = f"import subprocess; child = {start}; print(child.pid); child.returncode = 0"
    found = run(rehearsal(script), tmp_path)
    assert found.fault == "left running: sleep"
    assert processes.is_gone(int((tmp_path / "one.log").read_text()))


def test_a_rehearsal_without_a_passed_test_fails(tmp_path: Path) -> None:
    test = tmp_path / "test_nothing.py"
    test.write_text("import pytest\ndef test_a():\n    pytest.skip('not here')\n")
    one = Rehearsal("one", "x.", ("pytest", "-q", str(test)), 1)
    assert run(one, tmp_path).fault == "no test passed"
    test.write_text("def test_a():\n    pass\ndef test_b():\n    assert 0\n")
    found = run(one, tmp_path)
    assert (found.fault, found.figures["tests_passed"], found.figures["tests_failed"]) == ("exit code 1", 1, 1)


def test_the_run_continues_after_a_failure_and_ends_with_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "TESTS", tmp_path)
    file = write_list(tmp_path, listed("bad", command="python -c 'raise SystemExit(4)'"), listed("good"))
    results = tmp_path / "results.json"
    words = ["--plan", str(file), "--log", str(results), "--logs", str(tmp_path)]
    assert main(words) == 1
    kept = json.loads(results.read_text())
    assert (kept["bad"]["result"], kept["good"]["result"]) == ("failed: exit code 4", "passed")
    for word in ("date", "commit", "cores", "memory_gib", "python", "system", "uncommitted_changes"):
        assert word in kept["good"]["machine"]
    assert main([*words, "--only", "good"]) == 0
    assert set(json.loads(results.read_text())) == {"bad", "good"}  # the other entry stays
    assert main([*words, "--only", "absent"]) == 2
    assert main([*words, "--list"]) == 0
    assert "failed: exit code 4 on " in capsys.readouterr().out


def test_an_interrupted_run_stops_its_processes(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text("import os, time\nopen(os.environ['NOTE'], 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    note = tmp_path / "note"
    file = write_list(tmp_path, listed(command=f"python {script}", env={"NOTE": str(note)}))
    command = [sys.executable, "-m", "benchmarks.rehearse", "--plan", str(file), "--log", str(tmp_path / "log.json")]
    command += ["--logs", str(tmp_path)]
    with subprocess.Popen([*command, "--only", "one"], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as run:
        assert processes.wait_until(lambda: note.exists() and note.read_text() != "", 30)
        run.terminate()
        _, errors = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "everything that was started is stopped" in errors
    assert processes.is_gone(int(note.read_text()))


def test_the_settings_of_the_caller_do_not_reach_a_rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_KAFKA", "kafka.example:19092")
    monkeypatch.setenv("SHOUWANG_JARS", "/somewhere/jars")
    script = "import os; print(*sorted(name for name in os.environ if name.startswith('SHOUWANG_')))"
    assert run(rehearsal(script), tmp_path).fault is None
    found = set((tmp_path / "one.log").read_text().split())
    assert found - {"SHOUWANG_TEST_POSTGRES"} == {"SHOUWANG_FIGURES", "SHOUWANG_HOME", "SHOUWANG_JARS"}


def test_the_committed_log_has_no_id_number_and_no_phone_number() -> None:
    assert runner.mask(json.dumps(log.read())) == json.dumps(log.read())
