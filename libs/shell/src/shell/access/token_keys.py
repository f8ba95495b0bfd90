"""The public keys that verify the tokens of one issuer, from a file or an https address.

The key set is read again when a token names an unknown key, and every five minutes. So a new key is accepted and a
withdrawn one is refused without a restart. Unknown keys cause at most one read in 30 seconds. If a read fails, the
earlier keys stay.
"""

import json
import logging
import ssl
from collections.abc import Callable
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from common.errors import Unavailable
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet

from shell.access.issuers import Issuer

RELOAD_SECONDS_MIN: Final = 30.0
RELOAD_SECONDS_MAX: Final = 300.0
FIRST_READ_SECONDS_MIN: Final = 1.0  # between two reads while no key is known
ANSWER_SECONDS_MAX: Final = 5.0
KEY_SET_BYTES_MAX: Final = 256 * 1024
_UNREADABLE: Final = (OSError, HTTPException, ValueError, KeyError, TypeError, JoseError)
log = logging.getLogger(__name__)


class KeySource:
    """The key set of one issuer. Threads may share it: one of them reads, the others wait for that read.

    `fetch` returns the text of the set. `on_change` is called after a read that found other keys, so that tokens
    verified by old keys are forgotten. `is_remote`: a read may take seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], bytes],
        on_change: Callable[[], None],
        now: Callable[[], float],
        *,
        is_remote: bool = False,
    ) -> None:
        self.is_remote = is_remote
        self._fetch = fetch
        self._on_change = on_change
        self._now = now
        self._lock = Lock()
        self._read_at = float("-inf")
        self._text = b""
        self._keys: KeySet | None = None

    def is_due(self) -> bool:
        """Whether the next use reads the set again, since its last read is five minutes old."""
        return self._now() - self._read_at >= RELOAD_SECONDS_MAX

    def refresh(self) -> None:
        """Read the set again if that is due. Raises Unavailable if it could never be read."""
        if self._keys is None:
            self._read(FIRST_READ_SECONDS_MIN)
        elif self.is_due():
            self._read(RELOAD_SECONDS_MAX)
        if self._keys is None:
            raise Unavailable("the keys of an issuer cannot be read")

    def find(self, kid: str | None, algorithm: str) -> Key:
        """Return the key with this id; for None, the only key of the set. Call `refresh` before.

        An unknown id causes another read, at most once in 30 seconds. Raises InvalidKeyIdError if the id is still
        unknown.
        """
        try:
            return self._get(kid, algorithm)
        except InvalidKeyIdError:
            if not self._read(RELOAD_SECONDS_MIN):
                raise
        return self._get(kid, algorithm)

    def _get(self, kid: str | None, algorithm: str) -> Key:
        keys = self._keys
        if keys is None:
            raise Unavailable("the keys of an issuer cannot be read")
        return keys.get_by_kid(kid, {"alg": algorithm})

    def _read(self, seconds_min: float) -> bool:
        """Read the set unless the last read is younger than `seconds_min`. Return whether this or another thread found
        other keys."""
        before = self._keys
        with self._lock:
            if self._now() - self._read_at < seconds_min:
                return self._keys is not before
            self._read_at = self._now()
            try:
                text = self._fetch()
                keys = self._keys if text == self._text else KeySet.import_key_set(json.loads(text))
            except _UNREADABLE as error:
                log.warning("the keys of an issuer cannot be read, the earlier keys stay: %s", type(error).__name__)
                return False
            if keys is before:
                return False
            self._text, self._keys = text, keys
            self._on_change()
            return True


def from_file(path: Path) -> Callable[[], bytes]:
    """Return a function that reads the key set in a file."""
    return lambda: path.read_bytes()


def from_address(address: str, authority: Path | None = None) -> Callable[[], bytes]:
    """Return a function that fetches the key set at an http(s) address, without redirects and proxies.

    `authority`: a file with the only accepted authority of certificates. The function raises OSError, HTTPException or
    ValueError. An answer has at most KEY_SET_BYTES_MAX bytes.
    """
    return lambda: _fetch(address, authority)


def _fetch(address: str, authority: Path | None) -> bytes:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=authority)
        connection: HTTPConnection = HTTPSConnection(host, parts.port, timeout=ANSWER_SECONDS_MAX, context=context)
    else:
        connection = HTTPConnection(host, parts.port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
        return _content(connection)
    finally:
        connection.close()


def _content(connection: HTTPConnection) -> bytes:
    """Read the answer within ANSWER_SECONDS_MAX, also if it arrives byte by byte. Raises ValueError for another status
    than 200 or a longer text."""
    deadline = monotonic() + ANSWER_SECONDS_MAX
    answer = connection.getresponse()
    if answer.status != 200:
        raise ValueError(f"status {answer.status}")
    text = bytearray()
    while part := answer.read1(65_536):
        text += part
        if len(text) > KEY_SET_BYTES_MAX or monotonic() > deadline:
            raise ValueError("the answer is too long or too slow")
    return bytes(text)


@cache
def _source(jwks: str, authority: Path | None, on_change: Callable[[], None]) -> KeySource:
    remote = "://" in jwks
    fetch = from_address(jwks, authority) if remote else from_file(Path(jwks))
    return KeySource(fetch, on_change, lambda: monotonic(), is_remote=remote)


def keys_of(issuer: Issuer, on_change: Callable[[], None]) -> KeySource:
    """The keys of an issuer. All calls of a process with the same arguments share them."""
    return _source(issuer.jwks, issuer.ca, on_change)


def forget() -> None:
    """Read the keys anew at the next use. For tests."""
    _source.cache_clear()
