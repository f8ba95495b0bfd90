"""Repeated log lines are printed once in a while; different lines are all printed."""

import logging

from shell.logs import AGAIN_AFTER_SECONDS, Calm


def complaint(library: str, text: str) -> logging.LogRecord:
    return logging.LogRecord(library, logging.ERROR, __file__, 1, text, None, None)


def test_a_repeated_line_of_a_library_is_printed_once_in_a_while_and_another_line_at_once() -> None:
    now = [100.0]
    calm = Calm("aiokafka", lambda: now[0])
    away, other = complaint("aiokafka.conn", "the broker is away"), complaint("aiokafka.conn", "the group is gone")
    assert [calm.filter(record) for record in (away, away, other, away)] == [True, False, True, False]
    now[0] += AGAIN_AFTER_SECONDS
    assert [calm.filter(record) for record in (away, away)] == [True, False]


def test_lines_of_our_own_code_are_always_printed() -> None:
    calm = Calm("aiokafka")
    own = complaint("shell.kafka.relay", "the broker is away")
    assert [calm.filter(own) for _ in range(3)] == [True] * 3
