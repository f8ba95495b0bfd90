"""`shouwang send`: files of events sent to a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shouwang.commands.send import read_events, send
from shouwang.runtime.problems import LocalProblem


class _Server(BaseHTTPRequestHandler):
    """Counts like ingestion. An event with the id `bad` is rejected."""

    batches: list[list[dict[str, Any]]]

    def do_POST(self) -> None:
        batch = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.headers["content-type"] == "application/cloudevents-batch+json"
        assert self.headers["authorization"].startswith("Bearer ")
        self.batches.append(batch)
        bad = sum(event["id"] == "bad" for event in batch)
        results = [
            {
                "id": event["id"],
                "event_id": f"derived-{number}",
                "status": "rejected",
                "problems": [{"pointer": "/data/person", "code": "id_check_digit", "detail": "…"}],
            }
            for number, event in enumerate(batch)
            if event["id"] == "bad"
        ]
        receipt = {"received": len(batch), "accepted": len(batch) - bad, "duplicates": 0, "quarantined": 0}
        answer = json.dumps({**receipt, "rejected": bad, "results": results}).encode()
        self.send_response(202)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    _Server.batches = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_long_file_is_sent_in_batches_of_at_most_five_hundred(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(json.dumps({"id": str(number)}) for number in range(1_001)) + "\n\n")
    assert send(file, url)
    assert [len(batch) for batch in _Server.batches] == [500, 500, 1]
    assert capsys.readouterr().out == "1001 received, 1001 accepted, 0 duplicates, 0 quarantined, 0 rejected\n"


def test_a_rejected_event_is_named_by_its_derived_id_only(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([{"id": "good"}, {"id": "bad"}], indent=2))
    assert not send(file, url)
    output = capsys.readouterr().out
    assert "rejected derived-1 /data/person id_check_digit" in output
    assert "1 accepted" in output


def test_a_file_without_events_is_one_sentence_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_text('{"id": "1"}\n{"id": \n')
    with pytest.raises(LocalProblem, match=r"x.ndjson, line 2, is not JSON"):
        list(read_events(file))
    file.write_bytes(b'{"id": "\xff"}')
    with pytest.raises(LocalProblem, match="is not UTF-8"):
        list(read_events(file))
    with pytest.raises(LocalProblem, match="cannot be read"):
        list(read_events(tmp_path / "missing"))


def test_without_ingestion_the_sentence_names_the_command_that_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    file = tmp_path / "x.ndjson"
    file.write_text('{"id": "1"}\n')
    with pytest.raises(LocalProblem, match=r"does not answer .*: run `shouwang up`"):
        send(file, f"http://127.0.0.1:{closed_port}")
