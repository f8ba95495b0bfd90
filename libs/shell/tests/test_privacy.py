import os
import stat
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from shell import privacy
from shell.privacy import Algorithm, Keys, SealBroken, Vault

CONTEXT = b"7f0c/name"
ALGORITHMS: list[Algorithm] = ["aes-256-gcm", "sm4-gcm"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_sealed_opens_again_and_never_looks_the_same_twice(algorithm: Algorithm) -> None:
    vault = Vault(Keys.create(algorithm))
    sealed = vault.seal("张三".encode(), CONTEXT)
    assert vault.open(sealed, CONTEXT).decode() == "张三"
    assert "张三".encode() not in sealed
    assert vault.seal("张三".encode(), CONTEXT) != sealed


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_value_changed_in_any_byte_does_not_open(algorithm: Algorithm) -> None:
    vault = Vault(Keys.create(algorithm))
    sealed = vault.seal(b"secret", CONTEXT)
    for place in range(len(sealed)):
        with pytest.raises(SealBroken):
            vault.open(sealed[:place] + bytes((sealed[place] ^ 1,)) + sealed[place + 1 :], CONTEXT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_shortened_value_does_not_open(algorithm: Algorithm) -> None:
    vault = Vault(Keys.create(algorithm))
    sealed = vault.seal(b"", CONTEXT)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            vault.open(sealed[:length], CONTEXT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_value_copied_to_another_person_does_not_open(algorithm: Algorithm) -> None:
    vault = Vault(Keys.create(algorithm))
    with pytest.raises(SealBroken):
        vault.open(vault.seal(b"secret", CONTEXT), b"8a11/name")


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key_and_algorithm() -> None:
    old = Keys.create("aes-256-gcm")
    new = old.rotated("sm4-gcm")
    sealed_before = Vault(old).seal(b"before", CONTEXT)
    sealed_after = Vault(new).seal(b"after", CONTEXT)
    assert Vault(new).open(sealed_before, CONTEXT) == b"before"
    assert Vault(new).open(sealed_after, CONTEXT) == b"after"
    with pytest.raises(SealBroken):
        Vault(old).open(sealed_after, CONTEXT)
    assert Vault(new).blind_index("140702194002290014") == Vault(old).blind_index("140702194002290014")


def test_a_rotation_replaces_no_key_after_an_old_one_was_removed() -> None:
    three = Keys.create().rotated().rotated()
    sealed = Vault(three).seal(b"before", CONTEXT)
    without_first = replace(three, sealing={name: key for name, key in three.sealing.items() if name != "k1"})
    assert Vault(without_first.rotated()).open(sealed, CONTEXT) == b"before"


def test_the_blind_index_is_keyed_and_separates_people() -> None:
    one, other = Vault(Keys.create()), Vault(Keys.create())
    assert one.blind_index("140702194002290014") == one.blind_index("140702194002290014")
    assert one.blind_index("140702194002290014") != one.blind_index("142427194408120456")
    assert one.blind_index("140702194002290014") != other.blind_index("140702194002290014")
    assert len(one.blind_index("140702194002290014")) == 32


def test_an_event_id_is_a_uuid_of_source_and_id_that_cannot_be_mixed_up() -> None:
    vault = Vault(Keys.create())
    found = vault.event_id("urn:cn:exchange:140700:psb", "1")
    assert str(uuid.UUID(found)) == found
    assert uuid.UUID(found).variant == uuid.RFC_4122
    assert found == vault.event_id("urn:cn:exchange:140700:psb", "1")
    assert vault.event_id("ab", "c") != vault.event_id("a", "bc")
    assert found != Vault(Keys.create()).event_id("urn:cn:exchange:140700:psb", "1")


def test_a_missing_key_file_is_created_for_its_owner_only_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vault.json"
    keys = Keys.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Vault(Keys.load(path)).open(Vault(keys).seal(b"x", CONTEXT), CONTEXT) == b"x"
    assert os.listdir(path.parent) == ["vault.json"]


def test_services_that_start_at_once_agree_on_the_keys(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: Keys.load(tmp_path / "vault.json"), range(8)))
    assert {keys.index for keys in loaded} == {loaded[0].index}


def test_the_key_file_is_found_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_KEYS", str(tmp_path / "own.json"))
    rotated = Keys.create().rotated()
    rotated.save(tmp_path / "own.json")
    assert Keys.load().current == "k2"
    monkeypatch.delenv("SHOUWANG_KEYS")
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    Keys.load()
    assert (tmp_path / "keys" / "vault.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"current":"k9","sealing":{},"index":"","event":""}'])
def test_a_file_that_holds_no_keys_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vault.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"vault\.json is not a key file"):
        Keys.load(path)
    assert path.read_text() == text


def test_keys_are_not_printed() -> None:
    keys = Keys.create()
    assert keys.index.hex() not in repr(keys)
    assert str(keys.index) not in repr(keys)


def test_masked_values_show_only_what_a_screen_needs() -> None:
    assert privacy.mask_id_number("140702194002290014") == "1407**********0014"
    assert privacy.mask_name("张三丰") == "张**"
    assert privacy.mask_name("张") == "*"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("山西省吕梁市柳林县穆村镇某某村1号", "山西省吕梁市柳林县穆村镇****"),
        ("北京市海淀区学院路街道2号楼", "北京市海淀区学院路街道****"),
        ("山西省介休市某某路8号", "山西省介休市****"),
        ("建设路3号", "****"),
        ("", "****"),
        ("腾冲市幸福小区3栋2单元", "腾冲市****"),
        ("腾冲市腾越镇小区路3号", "腾冲市腾越镇****"),
        ("曲靖市麒麟区幸福社区5号", "曲靖市麒麟区****"),
        ("昆明市钢厂家属区7栋", "昆明市****"),
        ("幸福小区3栋2单元", "****"),
    ],
)
def test_a_masked_address_ends_at_county_or_township(address: str, shown: str) -> None:
    assert privacy.mask_address(address) == shown
