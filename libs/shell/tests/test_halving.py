"""Retry, halve and reject: only the item that causes a bug is rejected, and all others are applied in order."""

from collections.abc import Sequence

import pytest
from common.errors import BadMessage, Unavailable
from shell import halving
from shell.halving import TRIES_MAX, apply_by_halves, halves, repeat_while_unavailable


class Overtaken(Exception):
    pass


class Store:
    """Fails for the items of `errors`, each time with the next error of its list (the last one for ever)."""

    def __init__(self, **errors: Sequence[Exception]) -> None:
        self.errors = {item: list(listed) for item, listed in errors.items()}
        self.attempts: list[str] = []
        self.applied: list[str] = []
        self.rejected: list[tuple[str, str]] = []

    async def apply(self, batch: Sequence[str]) -> None:
        self.attempts.append("".join(batch))
        for item in batch:
            if listed := self.errors.get(item):
                raise listed[0] if len(listed) == 1 else listed.pop(0)
        self.applied += batch

    async def reject(self, batch: Sequence[str], bug: Exception) -> None:
        self.rejected.append(("".join(batch), type(bug).__name__))
        self.applied += [f"-{item}" for item in batch]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(round(seconds, 3))

    monkeypatch.setattr(halving.asyncio, "sleep", sleep)
    return found


async def test_a_good_batch_is_applied_at_once() -> None:
    store = Store()
    await apply_by_halves("abcdefgh", store.apply, store.reject)
    assert (store.attempts, store.rejected) == (["abcdefgh"], [])


async def test_only_the_bad_item_is_rejected_and_the_order_stays() -> None:
    store = Store(f=[ValueError()])
    await apply_by_halves("abcdefgh", store.apply, store.reject)
    assert store.attempts == ["abcdefgh", "abcd", "efgh", "ef", "e", "f", "gh"]
    assert store.applied == ["a", "b", "c", "d", "e", "-f", "g", "h"]
    assert store.rejected == [("f", "ValueError")]


async def test_every_bad_item_is_rejected_alone() -> None:
    store = Store(a=[ValueError()], c=[KeyError()])
    await apply_by_halves("abc", store.apply, store.reject)
    assert store.applied == ["-a", "b", "-c"]
    assert store.rejected == [("a", "ValueError"), ("c", "KeyError")]


async def test_nothing_is_rejected_while_a_store_is_unavailable() -> None:
    store = Store(c=[ConnectionRefusedError()])
    with pytest.raises(ConnectionRefusedError):
        await apply_by_halves("abcd", store.apply, store.reject)
    assert (store.attempts, store.rejected) == (["abcd"], [])


async def test_a_store_that_goes_away_between_the_halves_ends_the_work() -> None:
    store = Store(d=[ValueError(), Unavailable("away")])
    with pytest.raises(Unavailable):
        await apply_by_halves("abcd", store.apply, store.reject)
    assert (store.applied, store.rejected) == (["a", "b"], [])


async def test_an_error_that_the_caller_expects_passes() -> None:
    store = Store(a=[Overtaken()])
    with pytest.raises(Overtaken):
        await apply_by_halves("ab", store.apply, store.reject, passing=(Overtaken,))
    assert (store.attempts, store.rejected) == (["ab"], [])


async def test_a_single_item_is_tried_again_before_it_is_rejected(waits: list[float]) -> None:
    store = Store(a=[ValueError()])
    await apply_by_halves("a", store.apply, store.reject, bug_tries_max=5)
    assert (store.attempts, store.rejected) == (["a"] * 5, [("a", "ValueError")])
    assert waits == [0.1, 0.2, 0.4, 0.8]


async def test_a_single_item_that_succeeds_later_is_not_rejected() -> None:
    store = Store(a=[ValueError()])

    async def apply(batch: Sequence[str]) -> None:
        if len(store.attempts) == 2:
            store.errors.clear()
        await store.apply(batch)

    await apply_by_halves("a", apply, store.reject, bug_tries_max=5)
    assert (len(store.attempts), store.applied, store.rejected) == (3, ["a"], [])


async def test_a_bad_message_is_never_tried_again() -> None:
    store = Store(a=[BadMessage("unknown_type")])
    await apply_by_halves("a", store.apply, store.reject, bug_tries_max=5)
    assert (store.attempts, store.rejected) == (["a"], [("a", "BadMessage")])


async def test_a_store_that_goes_away_during_the_last_tries_is_no_reason_to_reject() -> None:
    store = Store(a=[ValueError(), TimeoutError()])
    with pytest.raises(TimeoutError):
        await apply_by_halves("a", store.apply, store.reject, bug_tries_max=5)
    assert (store.attempts, store.rejected) == (["a", "a"], [])


async def test_the_caller_may_split_a_single_item() -> None:
    store = Store(bb=[ValueError()])

    def split(batch: Sequence[str]) -> tuple[Sequence[str], Sequence[str]] | None:
        if len(batch) > 1 or len(batch[0]) == 1:
            return halves(batch)
        return [batch[0][:1]], [batch[0][1:]]

    await apply_by_halves(["a", "bb"], store.apply, store.reject, split=split)
    assert (store.applied, store.rejected) == (["a", "b", "b"], [])


async def test_a_store_is_asked_again_four_times(waits: list[float]) -> None:
    store = Store(a=[ConnectionResetError()])
    with pytest.raises(Unavailable, match="ConnectionResetError"):
        await repeat_while_unavailable(lambda: store.apply("a"))
    assert (len(store.attempts), waits) == (TRIES_MAX, [0.04, 0.08, 0.16])


async def test_a_store_that_is_back_gives_its_answer() -> None:
    answers: list[str | Exception] = [TimeoutError(), "answer"]

    async def attempt() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await repeat_while_unavailable(attempt) == "answer"


async def test_a_bug_is_not_repeated_as_if_a_store_were_unavailable() -> None:
    store = Store(a=[ValueError("a bug")])
    with pytest.raises(ValueError, match="a bug"):
        await repeat_while_unavailable(lambda: store.apply("a"))
    assert store.attempts == ["a"]
