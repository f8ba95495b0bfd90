"""The tokens of a session, and their renewal at the issuer.

Several requests of one page may need the next access token at the same time. The issuer may accept a refresh token
only once. So one request asks the issuer, and the others get its answer, also when they come a little later with the
cookie from before.
"""

import asyncio
from collections import OrderedDict
from hashlib import sha256
from typing import Final

import msgspec
from shell import clock

from console.issuer import Answer, Issuer, IssuerAway, IssuerRefuses
from console.settings import settings

EARLY_SECONDS: Final = 30.0
REMEMBERED_SECONDS: Final = 60.0
REMEMBERED_MAX: Final = 2_000


class Tokens(msgspec.Struct, frozen=True):
    """The tokens of a session. `used_until`: the end of the use of the access token, in seconds since 1970 (real time).
    The other tokens are None for a session by a local token."""

    access_token: str
    used_until: float
    refresh_token: str | None = None
    id_token: str | None = None

    def due_at(self) -> float:
        """When the console asks for the next access token: early enough for a second try."""
        return self.used_until - min(EARLY_SECONDS, settings().token_seconds_max / 5)


def tokens_of(answer: Answer, before: Tokens | None = None) -> Tokens:
    """Return the tokens of an answer of the issuer. A token that the answer leaves out is that of `before`."""
    seconds = settings().token_seconds_max
    if answer.expires_in is not None:
        seconds = min(seconds, answer.expires_in)
    return Tokens(
        answer.access_token,
        clock.real_now().timestamp() + seconds,
        answer.refresh_token or (before.refresh_token if before else None),
        answer.id_token or (before.id_token if before else None),
    )


class Renewals:
    """Renews tokens, each refresh token once. `issuer`: None if only local tokens open a session."""

    def __init__(self, issuer: Issuer | None) -> None:
        self._issuer = issuer
        self._asked: OrderedDict[bytes, tuple[float, asyncio.Task[Tokens | None]]] = OrderedDict()

    async def current(self, tokens: Tokens) -> Tokens | None:
        """Return tokens whose access token may be used now: `tokens` or the next ones. None if the session is over.

        Raises IssuerAway if the next ones are needed and the issuer does not answer.
        """
        now = clock.real_now().timestamp()
        if now < tokens.due_at():
            return tokens
        if tokens.refresh_token is None or self._issuer is None:
            return tokens if now < tokens.used_until else None
        try:
            return await asyncio.shield(self._task(self._issuer, tokens, tokens.refresh_token))
        except IssuerAway:
            if now < tokens.used_until:
                return tokens
            raise

    def _task(self, issuer: Issuer, tokens: Tokens, refresh_token: str) -> asyncio.Task[Tokens | None]:
        now = asyncio.get_running_loop().time()
        while self._asked and (
            len(self._asked) >= REMEMBERED_MAX or now - next(iter(self._asked.values()))[0] > REMEMBERED_SECONDS
        ):
            self._asked.popitem(last=False)
        key = sha256(refresh_token.encode()).digest()
        known = self._asked.get(key)
        if known is not None and _is_usable(known[1]):
            return known[1]
        task = asyncio.create_task(_renew(issuer, tokens, refresh_token), name="renew a session")
        self._asked[key] = (now, task)
        return task


def _is_usable(task: asyncio.Task[Tokens | None]) -> bool:
    """Whether it runs, or its answer still counts. An issuer may give the same refresh token again."""
    if not task.done():
        return True
    if task.cancelled() or task.exception() is not None:
        return False
    found = task.result()
    return found is None or clock.real_now().timestamp() < found.due_at()


async def _renew(issuer: Issuer, tokens: Tokens, refresh_token: str) -> Tokens | None:
    try:
        return tokens_of(await issuer.refresh(refresh_token), tokens)
    except IssuerRefuses:
        return None
