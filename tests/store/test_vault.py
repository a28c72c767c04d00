"""Sealed texts open with the right key, name and organisation, and with nothing else."""

import pytest

from loci.errors import StoreFailure
from loci.types.actor import Actor
from loci.vault import Vault

ACTOR = Actor()
OTHER = Actor(organization_id="org-11111111-1111-4111-8111-111111111111")


@pytest.mark.parametrize("text", ["", "hush", "ünïcödé 🙂", "x" * 100_000])
def test_what_is_sealed_opens_again_also_after_a_restart(tmp_path, text):
    sealed = Vault(tmp_path).seal(ACTOR, "KEY", text)
    assert Vault(tmp_path).open(ACTOR, "KEY", sealed) == text
    assert not text or text not in sealed


def test_the_same_text_is_never_sealed_alike(tmp_path):
    vault = Vault(tmp_path)
    assert vault.seal(ACTOR, "KEY", "hush") != vault.seal(ACTOR, "KEY", "hush")


def test_it_opens_only_where_it_belongs(tmp_path):
    vault, other = Vault(tmp_path / "one"), Vault(tmp_path / "two")
    other.seal(ACTOR, "KEY", "hush")
    sealed = vault.seal(ACTOR, "KEY", "hush")
    wrong = [
        lambda: vault.open(ACTOR, "OTHER", sealed),
        lambda: vault.open(OTHER, "KEY", sealed),
        lambda: other.open(ACTOR, "KEY", sealed),
        lambda: vault.open(ACTOR, "KEY", sealed[:-8] + "AAAAAAA="),
        lambda: vault.open(ACTOR, "KEY", "nonsense"),
        lambda: vault.open(ACTOR, "KEY", ""),
    ]
    for attempt in wrong:
        with pytest.raises(StoreFailure, match="cannot be opened") as caught:
            attempt()
        assert "hush" not in str(caught.value)


def test_opening_makes_no_key(tmp_path):
    sealed = Vault(tmp_path / "one").seal(ACTOR, "KEY", "hush")
    with pytest.raises(StoreFailure, match="No such file"):
        Vault(tmp_path / "two").open(ACTOR, "KEY", sealed)
    assert not (tmp_path / "two").exists()


def test_the_key_is_for_its_owner_alone(tmp_path):
    Vault(tmp_path / "home").seal(ACTOR, "KEY", "hush")
    key = tmp_path / "home" / "secret.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32


@pytest.mark.parametrize("left", [b"", b"short"])
def test_a_key_that_was_cut_short_is_said_to_be_broken_and_never_replaced(tmp_path, left):
    (tmp_path / "secret.key").write_bytes(left)
    with pytest.raises(StoreFailure, match="damaged"):
        Vault(tmp_path).seal(ACTOR, "KEY", "hush")
    assert (tmp_path / "secret.key").read_bytes() == left
