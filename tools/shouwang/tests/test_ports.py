"""The ports of a home, which several processes choose at the same time."""

import fcntl
import json
from pathlib import Path
from threading import Thread

from shouwang.runtime.ports import Ports


def test_a_forgotten_port_does_not_take_away_a_port_that_is_chosen_meanwhile(tmp_path: Path) -> None:
    ports = Ports(tmp_path, "free", {})
    postgres, kafka = ports.get("postgres"), 15_001
    with (tmp_path / "ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process chooses the port of Kafka
        forgetting = Thread(target=ports.forget, args=("postgres",))
        forgetting.start()
        forgetting.join(0.5)
        ports.file.write_text(json.dumps({"postgres": postgres, "kafka": kafka}))
    forgetting.join(10)
    assert ports.all() == {"kafka": kafka}


def test_a_fixed_port_is_not_forgotten(tmp_path: Path) -> None:
    ports = Ports(tmp_path, "fixed", {"dispatch": 15_002})
    assert ports.get("dispatch") == 15_002
    ports.forget("dispatch")
    assert ports.all() == {"dispatch": 15_002}
