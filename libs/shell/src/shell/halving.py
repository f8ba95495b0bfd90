"""Apply a batch as a whole; after a bug, halve it until the one bad item is found, and reject that item alone.

One failed attempt has one of three causes:

- a store is unavailable (`is_unavailable`): nothing is wrong with the batch, and the error passes to the caller;
- the caller names the error in `passing`: it passes to the caller as well;
- any other exception is a bug that one of the items causes: the batch is halved.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from common.errors import BadMessage, Unavailable

from shell.store.failures import is_unavailable

T = TypeVar("T")
Halves = tuple[Sequence[T], Sequence[T]]
log = logging.getLogger(__name__)
TRIES_MAX: Final = 4
_STORE_WAIT_SECONDS: Final = 0.02  # doubled before each wait
_BUG_WAIT_SECONDS: Final = 0.05  # doubled before each wait


async def repeat_while_unavailable(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, which is repeated while a store is unavailable.

    Raises Unavailable after TRIES_MAX attempts, and any other error at once."""
    for tries in range(1, TRIES_MAX + 1):
        try:
            return await attempt()
        except Exception as error:
            if not is_unavailable(error):
                raise
            if tries == TRIES_MAX:
                raise Unavailable(type(error).__name__) from error
        await asyncio.sleep(_STORE_WAIT_SECONDS * 2**tries)
    raise AssertionError("unreachable")


def halves(batch: Sequence[T]) -> Halves[T] | None:
    """The two halves of a batch in their order. None: it has at most one item."""
    if len(batch) <= 1:
        return None
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


async def apply_by_halves(
    batch: Sequence[T],
    apply: Callable[[Sequence[T]], Awaitable[None]],
    reject: Callable[[Sequence[T], Exception], Awaitable[None]],
    *,
    passing: tuple[type[Exception], ...] = (),
    split: Callable[[Sequence[T]], Halves[T] | None] = halves,
    bug_tries_max: int = 1,
) -> None:
    """Apply `batch`; after a bug apply its halves, the first one first.

    `apply` works in one transaction, all or nothing. `reject` receives a batch that cannot be split, and its error.
    Such a batch is tried `bug_tries_max` times before, or once if its error is a BadMessage.
    """
    bug = await _try(batch, apply, passing)
    if bug is None:
        return
    parts = split(batch)
    if parts is None:
        bug = await _try_again(batch, apply, passing, bug, bug_tries_max)
        if bug is not None:
            await reject(batch, bug)
        return
    log.warning("a batch of %d failed (%s): halving", len(batch), type(bug).__name__)
    for part in parts:
        await apply_by_halves(part, apply, reject, passing=passing, split=split, bug_tries_max=bug_tries_max)


async def _try(
    batch: Sequence[T], apply: Callable[[Sequence[T]], Awaitable[None]], passing: tuple[type[Exception], ...]
) -> Exception | None:
    """Apply the batch once. Return the bug that it causes, or None if it is applied. Raise every other error."""
    try:
        await apply(batch)
    except passing:
        raise
    except Exception as error:
        if is_unavailable(error):
            raise
        return error
    return None


async def _try_again(
    batch: Sequence[T],
    apply: Callable[[Sequence[T]], Awaitable[None]],
    passing: tuple[type[Exception], ...],
    bug: Exception | None,
    tries_max: int,
) -> Exception | None:
    """Apply the batch again, because `bug` may be a race between two transactions. Return the last bug, or None if the
    batch is applied."""
    for tries in range(1, tries_max):
        if bug is None or isinstance(bug, BadMessage):
            break
        await asyncio.sleep(_BUG_WAIT_SECONDS * 2**tries)
        bug = await _try(batch, apply, passing)
    return bug
