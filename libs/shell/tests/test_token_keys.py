"""The key set of another issuer: new keys are found, withdrawn ones forgotten, and the file is read seldom."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from common.errors import Unauthenticated, Unavailable
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import ECKey
from shell import clock
from shell.access import token_keys
from shell.access.auth import read_token
from shell.access.token_keys import RELOAD_SECONDS_MAX, RELOAD_SECONDS_MIN, KeyFile


def key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid}, private=True)


class File:
    """A key set on disk, a clock that stands still, and how often the file was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1000.0
        self.changes = 0

    def write(self, *keys: ECKey) -> None:
        self.path.write_text(json.dumps({"keys": [one.as_dict(private=False) for one in keys]}))

    def open(self) -> KeyFile:
        return KeyFile(self.path, self._changed, lambda: self.now)

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "jwks.json")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every read of a file, still done."""
    done: list[Path] = []
    before: Callable[[Path], bytes] = Path.read_bytes

    def read(path: Path) -> bytes:
        done.append(path)
        return before(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    return done


def test_an_unknown_key_is_looked_for_once_in_thirty_seconds(file: File, reads: list[Path]) -> None:
    file.write(key("old"))
    keys = file.open()
    for _ in range(5):
        with pytest.raises(InvalidKeyIdError):
            keys.find("new", "ES256")
    assert len(reads) == 1  # the one with which it began
    file.write(key("old"), key("new"))
    file.now += RELOAD_SECONDS_MIN
    assert keys.find("new", "ES256").kid == "new"
    for unknown in range(1_000):
        with pytest.raises(InvalidKeyIdError):
            keys.find(f"invented-{unknown}", "ES256")
    assert (len(reads), file.changes) == (2, 1)


def test_many_threads_with_unknown_keys_read_the_file_once(file: File, reads: list[Path]) -> None:
    file.write(key("old"))
    keys = file.open()
    file.write(key("old"), key("new"))
    file.now += RELOAD_SECONDS_MIN
    found: list[Any] = []
    threads = [Thread(target=lambda: found.append(keys.find("new", "ES256").kid)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (found, len(reads)) == (["new"] * 16, 2)


def test_a_withdrawn_key_is_forgotten_within_five_minutes(file: File) -> None:
    file.write(key("old"), key("stolen"))
    keys = file.open()
    file.write(key("old"))
    file.now += RELOAD_SECONDS_MAX - 1
    keys.refresh()
    assert keys.find("stolen", "ES256").kid == "stolen"
    file.now += 1
    keys.refresh()
    with pytest.raises(InvalidKeyIdError):
        keys.find("stolen", "ES256")
    assert file.changes == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": 7}', '{"keys": [{"kty": "EC"}]}', "\x00"])
def test_a_damaged_file_leaves_the_keys_as_they_are(file: File, content: str) -> None:
    file.write(key("old"))
    keys = file.open()
    file.path.write_text(content)
    file.now += RELOAD_SECONDS_MIN
    with pytest.raises(InvalidKeyIdError):
        keys.find("new", "ES256")
    assert keys.find("old", "ES256").kid == "old"


@pytest.mark.parametrize("content", ["", "{}", None])
def test_without_any_keys_a_service_is_unavailable(file: File, content: str | None) -> None:
    if content is not None:
        file.path.write_text(content)
    with pytest.raises(Unavailable):
        file.open()


def test_a_rotated_key_opens_and_a_withdrawn_one_closes_without_a_restart(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = key("old"), key("new")
    moment = [1000.0]
    file.write(old)
    monkeypatch.setenv("SHOUWANG_JWKS", str(file.path))
    monkeypatch.setattr(token_keys, "monotonic", lambda: moment[0])
    token_keys.forget()
    by_old, by_new = signed(old, "old"), signed(new, "new")
    assert read_token(by_old).subject == "li"
    file.write(old, new)
    with pytest.raises(Unauthenticated):
        read_token(by_new)
    moment[0] += RELOAD_SECONDS_MIN
    assert read_token(by_new).subject == "li"
    file.write(new)
    assert read_token(by_old).subject == "li"  # verified before
    moment[0] += RELOAD_SECONDS_MAX
    with pytest.raises(Unauthenticated):
        read_token(by_old)
    assert read_token(by_new).subject == "li"


def signed(by: ECKey, kid: str) -> str:
    now = int(clock.real_now().timestamp())
    claims = {"iss": "shouwang", "aud": "shouwang", "sub": "li", "iat": now, "exp": now + 600, "role": "resident"}
    return jwt.encode({"alg": "ES256", "kid": kid}, claims, by)
