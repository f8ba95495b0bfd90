"""Seal what the console gives to a browser: AES-256-GCM under keys that only the console has.

The key file holds `{"keys": ["<base64 of 32 bytes>", …]}`. The first key seals, every key opens. So a new key is put
first, and the old one is removed after the longest session. The file is read again when it has changed.
"""

import json
import os
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Final

from common.errors import Unavailable
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from shell import private_files

LOOK_EVERY_SECONDS: Final = 10.0
_KEY_BYTES, _TAG_BYTES, _NONCE_BYTES = 32, 4, 12
_UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError)


class Seal:
    """Seals text with the first key of a file and opens text with each of its keys.

    `made`: whether a missing file is made, which only its owner can read. Raises Unavailable if the file cannot be read
    at the start; later, the earlier keys stay.
    """

    def __init__(self, path: Path, made: bool) -> None:
        self._path = path
        if made and not path.exists():
            key = b64encode(os.urandom(_KEY_BYTES)).decode()
            private_files.create(path, json.dumps({"keys": [key]}).encode())
        self._looked_at = monotonic()
        try:
            self._mark = self._stat()
            self._keys = _read(path)
        except _UNREADABLE as error:
            raise Unavailable("the keys of the console cannot be read") from error

    def seal(self, content: bytes, purpose: str) -> str:
        """Encrypt `content`. `open` needs the same `purpose`."""
        name, key = next(iter(self._current().items()))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = name + nonce + key.encrypt(nonce, content, purpose.encode())
        return urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, text: str, purpose: str) -> bytes | None:
        """Decrypt. None if the text was changed, has another purpose, or its key is gone."""
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            key = self._current()[sealed[:_TAG_BYTES]]
            nonce, body = sealed[_TAG_BYTES:][:_NONCE_BYTES], sealed[_TAG_BYTES + _NONCE_BYTES :]
            return key.decrypt(nonce, body, purpose.encode())
        except (ValueError, KeyError, InvalidTag):
            return None

    def _current(self) -> Mapping[bytes, AESGCM]:
        if monotonic() - self._looked_at >= LOOK_EVERY_SECONDS:
            self._looked_at = monotonic()
            try:
                mark = self._stat()
                if mark != self._mark:
                    self._keys, self._mark = _read(self._path), mark
            except _UNREADABLE:
                pass  # the earlier keys stay
        return self._keys

    def _stat(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_ino, found.st_size


def _read(path: Path) -> dict[bytes, AESGCM]:
    """The keys by their mark, the first one first."""
    keys = [b64decode(text, validate=True) for text in json.loads(path.read_bytes())["keys"]]
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise ValueError("a key has 32 bytes")
    return {sha256(b"console key" + key).digest()[:_TAG_BYTES]: AESGCM(key) for key in keys}
