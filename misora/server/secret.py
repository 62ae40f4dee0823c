"""The server's own secret: a file beside the database that seals webhook secrets and signs links; it knows no request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from misora.client.errors import MisoraError


class Secret:
    """32 bytes in ``server.secret``, readable by its owner alone, made at the first start."""

    def __init__(self, data: Path) -> None:
        path = data / "server.secret"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
        self._key = path.read_bytes()
        if len(self._key) != 32:
            raise MisoraError(f"{path} is damaged; restore it from a backup.")

    def _derived(self, use: str) -> bytes:
        return hmac.digest(self._key, use.encode(), hashlib.sha256)

    def seal(self, text: str) -> str:
        """The text, encrypted."""
        nonce = secrets.token_bytes(12)
        return base64.b64encode(nonce + AESGCM(self._derived("seal")).encrypt(nonce, text.encode(), None)).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises MisoraError."""
        data = base64.b64decode(sealed)
        try:
            return AESGCM(self._derived("seal")).decrypt(data[:12], data[12:], None).decode()
        except InvalidTag:
            raise MisoraError("A stored secret cannot be read: server.secret is not the one that it was sealed with.") from None

    def sign(self, text: str, use: str = "link") -> str:
        """A signature of the text for one use, as hexadecimal."""
        return hmac.digest(self._derived(use), text.encode(), hashlib.sha256).hex()

    def signed(self, text: str, signature: str, use: str = "link") -> bool:
        """Whether the signature is ours and for that use."""
        return hmac.compare_digest(self.sign(text, use).encode(), signature.encode())
