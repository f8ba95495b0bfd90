"""Start the log of a process. The log never holds data of a person."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

AGAIN_AFTER_SECONDS: Final = 10.0
KEPT_MAX: Final = 1_000


class Calm(logging.Filter):
    """A filter that lets the same message of one library pass once in AGAIN_AFTER_SECONDS.

    Kafka clients without a broker log a hundred messages a second.
    """

    def __init__(self, library: str, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._library = library
        self._clock = clock
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != self._library:
            return True
        now, message = self._clock(), (record.name, str(record.msg))
        before = self._passed.get(message)
        if before is not None and now - before < AGAIN_AFTER_SECONDS:
            return False
        if len(self._passed) >= KEPT_MAX:
            self._passed.clear()
        self._passed[message] = now
        return True


def start_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Calm("aiokafka"))
