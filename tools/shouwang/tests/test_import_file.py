"""`shouwang import`: a file sent to a real HTTP server, until the end of the import."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from shell.access.auth import read_token
from shouwang.commands import import_file
from shouwang.runtime.problems import LocalProblem

ID = "11111111-1111-5111-8111-111111111111"


class _Server(BaseHTTPRequestHandler):
    """Accepts a file; the import is done at the second request. The file `bad` has a rejected row."""

    sent: list[tuple[dict[str, list[str]], bytes, Any]]
    requests: int

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        caller = read_token(self.headers["authorization"].removeprefix("Bearer "))
        type(self).sent.append((parse_qs(urlsplit(self.path).query), body, caller))
        if body == b"refuse":
            problem = {"pointer": "/columns/x", "code": "field_unknown", "detail": "has the fields …"}
            self._answer(422, {"code": "mapping_invalid", "detail": "cannot be used", "problems": [problem]})
        else:
            self._answer(202, self._job("waiting"))

    def do_GET(self) -> None:
        type(self).requests += 1
        self._answer(200, self._job("done" if self.requests >= 2 else "running"))

    def _job(self, state: str) -> dict[str, Any]:
        bad = int(self.sent[-1][1] == b"bad" and state == "done")
        counts = {"rows_read": 5, "accepted": 5 - bad, "duplicates": 0, "quarantined": 0, "rejected": bad}
        rejects = f"/v1/imports/{ID}/rejects" if bad else None
        about = {"bytes": 3, "bytes_read": 2, "tables_skipped": 0, "problems": [], "rejects": rejects}
        return {"import_id": ID, "state": state, **counts, **about}

    def _answer(self, status: int, content: Any) -> None:
        answer = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    monkeypatch.setattr(import_file, "ASK_SECONDS", 0.001)
    _Server.sent, _Server.requests = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(url: str, tmp_path: Path, content: str, *words: str) -> bool:
    file = tmp_path / "file.csv"
    file.write_text(content)
    return import_file.import_file(import_file._parser().parse_args([str(file), *words]), url)


def test_a_file_is_followed_to_its_end(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urn = "urn:cn:exchange:530300:cdpf"
    assert run(url, tmp_path, "good", "--kind", "disability", "--source", urn, "--mapping", '{"dates": ["%d/%m/%Y"]}')
    ((query, body, caller),) = _Server.sent
    assert (body, caller.role, caller.source) == (b"good", "source", urn)
    assert query["kind"] == ["disability"]
    assert json.loads(query["mapping"][0]) == {"dates": ["%d/%m/%Y"]}
    output = capsys.readouterr().out
    assert output == f"import {ID}\ndone: 5 rows, 5 accepted, 0 duplicates, 0 quarantined, 0 rejected\n"


def test_rejected_rows_are_a_failure_with_the_address_of_the_rejects(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("columns: {valid_from: 起}\n")
    assert not run(url, tmp_path, "bad", "--kind", "alive", "--mapping", str(mapping))
    ((query, _, caller),) = _Server.sent
    assert (caller.role, json.loads(query["mapping"][0])) == ("admin", {"columns": {"valid_from": "起"}})
    assert capsys.readouterr().out.endswith(f"{url}/v1/imports/{ID}/rejects\n")


def test_the_command_can_end_before_the_import(url: str, tmp_path: Path) -> None:
    assert run(url, tmp_path, "good", "--no-wait")
    assert _Server.requests == 0


def test_a_rejected_file_is_one_sentence_with_its_problems(url: str, tmp_path: Path) -> None:
    with pytest.raises(
        LocalProblem, match=r"mapping_invalid: cannot be used; /columns/x field_unknown: has the fields"
    ):
        run(url, tmp_path, "refuse")


def test_a_file_that_cannot_be_read_is_named(url: str, tmp_path: Path) -> None:
    for words, sentence in (
        ([str(tmp_path / "none")], "none cannot be read"),
        ([__file__, "--mapping", str(tmp_path / "none")], "The mapping .*none cannot be read"),
        ([__file__, "--mapping", "{["], "neither JSON nor YAML"),
    ):
        with pytest.raises(LocalProblem, match=sentence):
            import_file.import_file(import_file._parser().parse_args(words), url)


def test_without_ingestion_the_sentence_names_the_command_that_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    with pytest.raises(LocalProblem, match=r"does not answer .*: run `shouwang up`"):
        run(f"http://127.0.0.1:{closed_port}", tmp_path, "x")
