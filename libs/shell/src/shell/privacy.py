"""Protect personal data: masks for screens, the cipher of the vault, the keyed index of ID numbers, derived event ids.

A sealed value names its algorithm and key, so that values sealed by an older key stay readable:
`SW1 | algorithm (1) | key id length (1) | key id | nonce (12) | ciphertext and tag`. The header and the
caller's context (person and field) are authenticated: a value that was copied to another person does not open.
"""

import hashlib
import hmac
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shell import private_files
from shell.settings import paths, vault_variables

Algorithm = Literal["aes-256-gcm", "sm4-gcm"]
_ALGORITHM_ID: dict[str, int] = {"aes-256-gcm": 1, "sm4-gcm": 2}
_KEY_BYTES: dict[str, int] = {"aes-256-gcm": 32, "sm4-gcm": 16}
_MAGIC = b"SW1"
# A district; a residential area (小区, 社区 …) is none.
_DISTRICT = r"(?<![小社])(?<!住宅)(?<!家属)(?<!生活)(?<!别墅)区"
# The shortest beginning up to a county, and up to a township if one follows within a few characters.
_AREA_END = re.compile(rf".{{1,24}}?(?:{_DISTRICT}|县|旗|市(?!.{{0,8}}(?:{_DISTRICT}|县)))(?:.{{1,6}}?(?:街道|镇|乡))?")
_NONCE_BYTES, _TAG_BYTES, _SECRET_BYTES = 12, 16, 32


class SealBroken(Exception):
    """A sealed value was changed, belongs to another context, or its key is gone."""


# ── masking ─────────────────────────────────────────────────────────────────────────────────────────────────


def _mask(text: str, head: int, tail: int) -> str:
    if len(text) <= head + tail:
        return "*" * len(text)
    return text[:head] + "*" * (len(text) - head - tail) + text[len(text) - tail :]


def mask_id_number(number: str) -> str:
    """Return the number with its first and last four characters only: `1407**********0014`."""
    return _mask(number, 4, 4)


def mask_name(name: str) -> str:
    """Return the name with its first character only: `张*`, `欧***`. A name of one character is hidden."""
    return _mask(name, 1, 0)


def mask_address(address: str) -> str:
    """Return the address up to county or township, then four stars, so that the length of the rest stays hidden. An
    address in which no county is found is hidden completely."""
    found = _AREA_END.match(address)
    return f"{found.group()}****" if found else "****"


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class Keys:
    """The secrets of one installation. `sealing` maps key id → (algorithm, key). The key `current` seals new values;
    each key opens the values that it sealed. `index` and `event`: the keys of `Vault.blind_index` and `Vault.event_id`.
    """

    current: str
    sealing: Mapping[str, tuple[Algorithm, bytes]]
    index: bytes
    event: bytes

    @staticmethod
    def create(algorithm: Algorithm = "aes-256-gcm") -> "Keys":
        """New random keys."""
        first = {"k1": (algorithm, os.urandom(_KEY_BYTES[algorithm]))}
        return Keys("k1", first, os.urandom(_SECRET_BYTES), os.urandom(_SECRET_BYTES))

    def rotated(self, algorithm: Algorithm = "aes-256-gcm") -> "Keys":
        """Return a copy with one more key, which seals new values. `index` and `event` stay: ids must not change."""
        numbers = [int(name[1:]) for name in self.sealing if re.fullmatch("k[0-9]+", name)]
        name = f"k{max(numbers, default=0) + 1}"
        fresh = (algorithm, os.urandom(_KEY_BYTES[algorithm]))
        return replace(self, current=name, sealing={**self.sealing, name: fresh})

    @staticmethod
    def load(path: Path | None = None) -> "Keys":
        """Read the key file: `path`, else `$SHOUWANG_KEYS`, else `$SHOUWANG_HOME/keys/vault.json`.

        A missing file is created with new keys, readable by its owner only; several processes may do so
        at once. Raises ValueError when the file is no key file.
        """
        path = path or paths().vault_keys
        if not path.exists():
            Keys.create().save(path, only_if_missing=True)
        try:
            return _from_json(msgspec.json.decode(path.read_bytes()))
        except (KeyError, TypeError, AttributeError, ValueError) as wrong:
            raise ValueError(f"{path} is not a key file of the vault") from wrong

    def save(self, path: Path, only_if_missing: bool = False) -> None:
        """Write the key file (0600) in one step. With `only_if_missing`, an existing file is kept."""
        content = msgspec.json.format(msgspec.json.encode(_to_json(self)), indent=2) + b"\n"
        if only_if_missing:
            private_files.create(path, content)
        else:
            private_files.replace(path, content)


def _to_json(keys: Keys) -> dict[str, Any]:
    return {
        "current": keys.current,
        "sealing": {
            name: {"algorithm": algorithm, "key": b64encode(key).decode()}
            for name, (algorithm, key) in keys.sealing.items()
        },
        "index": b64encode(keys.index).decode(),
        "event": b64encode(keys.event).decode(),
    }


def _from_json(data: dict[str, Any]) -> Keys:
    sealing: dict[str, tuple[Algorithm, bytes]] = {}
    for name, entry in data["sealing"].items():
        key = b64decode(entry["key"], validate=True)
        if len(key) != _KEY_BYTES[entry["algorithm"]] or not 1 <= len(name.encode()) <= 255:
            raise ValueError("a key has the wrong length")
        sealing[name] = (entry["algorithm"], key)
    index, event = b64decode(data["index"], validate=True), b64decode(data["event"], validate=True)
    if data["current"] not in sealing or min(len(index), len(event)) < _SECRET_BYTES:
        raise ValueError("a key is missing")
    return Keys(data["current"], sealing, index, event)


# ── the vault ───────────────────────────────────────────────────────────────────────────────────────────────


class Vault:
    """Seals and opens personal data and derives the keyed ids that may leave the vault."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._aes = {n: AESGCM(key) for n, (algorithm, key) in keys.sealing.items() if algorithm == "aes-256-gcm"}

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt with the current key. `open` needs the same `context`, for example `person_id/field`."""
        name = self._keys.current
        algorithm, key = self._keys.sealing[name]
        tag = name.encode()
        header = _MAGIC + bytes((_ALGORITHM_ID[algorithm], len(tag))) + tag
        nonce, aad = os.urandom(_NONCE_BYTES), header + context
        if aes := self._aes.get(name):
            return header + nonce + aes.encrypt(nonce, plaintext, aad)
        cipher = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
        cipher.authenticate_additional_data(aad)
        return header + nonce + cipher.update(plaintext) + cipher.finalize() + cipher.tag

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt with the key that the value names. Raises SealBroken."""
        try:
            start = 5 + sealed[4]
            name = sealed[5:start].decode()
            algorithm, key = self._keys.sealing[name]
        except (IndexError, UnicodeDecodeError, KeyError) as wrong:
            raise SealBroken("no key for this value") from wrong
        header, nonce = sealed[:start], sealed[start : start + _NONCE_BYTES]
        body, aad = sealed[start + _NONCE_BYTES :], sealed[:start] + context
        if header[:4] != _MAGIC + bytes((_ALGORITHM_ID[algorithm],)) or len(body) < _TAG_BYTES:
            raise SealBroken("not a sealed value")
        try:
            if aes := self._aes.get(name):
                return aes.decrypt(nonce, body, aad)
            cipher = Cipher(algorithms.SM4(key), modes.GCM(nonce, body[-_TAG_BYTES:])).decryptor()
            cipher.authenticate_additional_data(aad)
            return cipher.update(body[:-_TAG_BYTES]) + cipher.finalize()
        except InvalidTag as wrong:
            raise SealBroken("the value or its context was changed") from wrong

    def blind_index(self, id_number: str) -> bytes:
        """Return a keyed hash (32 bytes) of a normalised ID number. It finds the number without storing it readably."""
        return hmac.digest(self._keys.index, id_number.encode(), hashlib.sha256)

    def event_id(self, source: str, id: str) -> str:
        """Return the UUID under which an incoming event is known outside ingestion. It is a keyed hash, since `id` may
        hold an ID number."""
        digest = hmac.digest(self._keys.event, f"{source}\0{id}".encode(), hashlib.sha256).hex()
        variant = "89ab"[int(digest[16], 16) & 3]  # version 8 (own construction), variant 10
        return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def vault() -> Vault:
    """Return the vault of this installation. Its keys, named by SHOUWANG_KEYS or SHOUWANG_HOME, are read once."""
    return _installed(*vault_variables())


@lru_cache(maxsize=8)  # one in a service; a few where one process looks at several installations
def _installed(keys: str | None, home: str | None) -> Vault:
    return Vault(Keys.load())
