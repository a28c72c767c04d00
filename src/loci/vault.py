"""Secrets at rest: sealed with a key that lies beside the database, never in it, and never in a log.

AES-256-GCM (NIST SP 800-38D) with a fresh nonce each; organisation and name are bound in as associated data, so a
sealed text opens only where it belongs. Made on first use, readable by the owner alone.
"""

import base64
import binascii
import contextlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from loci.errors import StoreFailure
from loci.types.actor import Actor

KEY_BYTES = 32
_NONCE_BYTES = 12
_MARK = "sealed:1:"


class Vault:
    """Seals and opens texts with the key in a data folder."""

    def __init__(self, home: Path) -> None:
        self._file = home / "secret.key"
        self._cipher: AESGCM | None = None

    def seal(self, actor: Actor, name: str, text: str) -> str:
        """The text, so that only `open` with the same actor's organisation and name can read it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._key(make=True).encrypt(nonce, text.encode(), _bound(actor, name))
        return _MARK + base64.b64encode(nonce + sealed).decode()

    def open(self, actor: Actor, name: str, sealed: str) -> str:
        """The text that was sealed. Raises StoreFailure if the key is another or missing, or the place is another."""
        try:
            raw = base64.b64decode(sealed.removeprefix(_MARK), validate=True)
            return self._key().decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(actor, name)).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise StoreFailure(
                f"The secret '{name}' cannot be opened.", hint=f"Bring back the {self._file} that it was sealed with."
            ) from error

    def _key(self, *, make: bool = False) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(self._read(make=make))
        return self._cipher

    def _read(self, *, make: bool) -> bytes:
        try:
            if make and not self._file.exists():
                self._make()
            key = self._file.read_bytes()
        except OSError as error:
            raise StoreFailure(f"The key {self._file} cannot be used: {error.strerror}.") from error
        if len(key) != KEY_BYTES:
            raise StoreFailure(
                f"The key {self._file} is damaged: it has {len(key)} bytes, not {KEY_BYTES}.",
                hint="Bring it back from a backup. Delete it only if no secret that it sealed is needed any more.",
            )
        return key

    def _make(self) -> None:
        """Put a new key in its place whole, or not at all; one that another process put there first stays."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_name(f"{self._file.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, self._file)
        finally:
            draft.unlink()


def _bound(actor: Actor, name: str) -> bytes:
    return f"{actor.organization_id}\n{name}".encode()
