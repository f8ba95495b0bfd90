"""The keys of tokens: the local issuer's own key, or the key set of another issuer (`SHOUWANG_JWKS`, a file).

The key set is read again when a token names an unknown key, and every five minutes. So a new key is accepted and a
withdrawn one is refused without a restart. Unknown keys cause at most one read in 30 seconds.
"""

import json
import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final

from common.errors import Unavailable
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, Key, KeySet

from shell.settings import paths

RELOAD_SECONDS_MIN: Final = 30.0
RELOAD_SECONDS_MAX: Final = 300.0
_UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, JoseError)
log = logging.getLogger(__name__)


@cache
def signing_key() -> ECKey:
    """Return the private key of the local issuer. The first use creates its file, which only the file's owner can
    read."""
    path = paths().token_key
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".token.{os.getpid()}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(ECKey.generate_key("P-256", private=True).as_dict(private=True), file)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            fresh.unlink(missing_ok=True)
    return ECKey.import_key(_json(path))


class KeyFile:
    """The key set in a file. Threads may share it: one of them reads the file, the others wait for that read.

    `on_change` is called after a read that found other keys, so that tokens verified by old keys are forgotten.
    """

    def __init__(self, path: Path, on_change: Callable[[], None], now: Callable[[], float]) -> None:
        self._path = path
        self._on_change = on_change
        self._now = now
        self._lock = Lock()
        self._read_at = now()
        try:
            self._text = path.read_bytes()
            self._keys = KeySet.import_key_set(json.loads(self._text))
        except _UNREADABLE as error:
            raise Unavailable("the key set cannot be read") from error

    def refresh(self) -> None:
        """Read the file again when the last read is five minutes old."""
        if self._now() - self._read_at >= RELOAD_SECONDS_MAX:
            self._read(RELOAD_SECONDS_MAX)

    def find(self, kid: str | None, algorithm: str) -> Key:
        """Return the key with this id; for None, the only key of the set.

        An unknown id causes another read of the file, at most once in 30 seconds. Raises InvalidKeyIdError if the id is
        still unknown.
        """
        try:
            return self._keys.get_by_kid(kid, {"alg": algorithm})
        except InvalidKeyIdError:
            if not self._read(RELOAD_SECONDS_MIN):
                raise
        return self._keys.get_by_kid(kid, {"alg": algorithm})

    def _read(self, seconds_min: float) -> bool:
        """Read the file unless the last read is younger than `seconds_min`. Return whether this or another thread found
        other keys. If the file cannot be read, the keys stay."""
        before = self._keys
        with self._lock:
            if self._now() - self._read_at < seconds_min:
                return self._keys is not before
            self._read_at = self._now()
            try:
                text = self._path.read_bytes()
                keys = self._keys if text == self._text else KeySet.import_key_set(json.loads(text))
            except _UNREADABLE as error:
                log.warning("the key set cannot be read, the earlier keys stay: %s", type(error).__name__)
                return False
            if keys is before:
                return False
            self._text, self._keys = text, keys
            self._on_change()
            return True


@cache
def _key_file_of(path: Path, on_change: Callable[[], None]) -> KeyFile:
    return KeyFile(path, on_change, lambda: monotonic())


def foreign_keys(on_change: Callable[[], None]) -> KeyFile | None:
    """The key set of the issuer that SHOUWANG_JWKS names; None without it: the local key verifies tokens."""
    path = paths().jwks
    return _key_file_of(path, on_change) if path else None


def forget() -> None:
    """Read the keys anew at the next use. For tests."""
    signing_key.cache_clear()
    _key_file_of.cache_clear()


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
