"""Secrets at rest: sealed for one organisation and one name, with a key that only its owner can read."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import StoreFailure
from loci.testing.stores import OTHER_ACTOR
from loci.types.actor import Actor
from loci.vault import Vault

ME = Actor()


def test_a_secret_comes_back_also_after_a_restart(tmp_path):
    sealed = Vault(tmp_path).seal(ME, "TOKEN", "hush ü 🦉\n")
    assert "hush" not in sealed
    assert Vault(tmp_path).open(ME, "TOKEN", sealed) == "hush ü 🦉\n"


def test_the_same_text_is_never_sealed_the_same_way_twice(tmp_path):
    vault = Vault(tmp_path)
    assert vault.seal(ME, "TOKEN", "") != vault.seal(ME, "TOKEN", "")


@pytest.mark.parametrize(("actor", "name"), [(OTHER_ACTOR, "TOKEN"), (ME, "OTHER"), (ME, "")])
def test_a_secret_opens_only_where_it_belongs(tmp_path, actor, name):
    vault = Vault(tmp_path)
    sealed = vault.seal(ME, "TOKEN", "hush")
    with pytest.raises(StoreFailure, match=r"secret\.key"):
        vault.open(actor, name, sealed)


def test_another_key_opens_nothing(tmp_path):
    sealed = Vault(tmp_path / "one").seal(ME, "TOKEN", "hush")
    with pytest.raises(StoreFailure) as refused:
        Vault(tmp_path / "two").open(ME, "TOKEN", sealed)
    assert "hush" not in str(refused.value)


def test_a_changed_or_broken_text_is_refused(tmp_path):
    vault = Vault(tmp_path)
    sealed = vault.seal(ME, "TOKEN", "hush")
    for broken in (
        "",
        "sealed:1:",
        "sealed:1:!",
        sealed[:-8],
        sealed[:12] + ("A" if sealed[12] != "A" else "B") + sealed[13:],
    ):
        with pytest.raises(StoreFailure):
            vault.open(ME, "TOKEN", broken)


def test_only_the_owner_can_read_the_key(tmp_path):
    Vault(tmp_path / "new" / "home").seal(ME, "TOKEN", "hush")
    key = tmp_path / "new" / "home" / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32


@pytest.mark.parametrize("left", [b"", b"short"])
def test_a_damaged_key_is_told_and_never_replaced(tmp_path, left):
    (tmp_path / "secret.key").write_bytes(left)
    with pytest.raises(StoreFailure, match=r"secret\.key"):
        Vault(tmp_path).seal(ME, "TOKEN", "hush")
    assert (tmp_path / "secret.key").read_bytes() == left


@given(text=st.text(), name=st.text())
def test_every_text_survives(tmp_path_factory, text, name):
    vault = Vault(tmp_path_factory.getbasetemp() / "vault")
    text = text.encode("utf-8", "replace").decode()
    name = name.encode("utf-8", "replace").decode()
    assert vault.open(ME, name, vault.seal(ME, name, text)) == text
