"""What a process prints. Never anything about a person."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

AGAIN_AFTER_SECONDS: Final = 10.0
KEPT_MAX: Final = 1_000


class Calm(logging.Filter):
    """Lets the same complaint of one library pass every AGAIN_AFTER_SECONDS: without a broker its clients complain a
    hundred times a second."""

    def __init__(self, library: str, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._library = library
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != self._library:
            return True
        now, complaint = self._clock(), (record.name, str(record.msg))
        before = self._said.get(complaint)
        if before is not None and now - before < AGAIN_AFTER_SECONDS:
            return False
        if len(self._said) >= KEPT_MAX:
            self._said.clear()
        self._said[complaint] = now
        return True


def start_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Calm("aiokafka"))
