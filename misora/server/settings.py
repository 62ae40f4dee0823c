"""How one server is set up; it knows nothing of how the settings came."""

from __future__ import annotations

import dataclasses
from pathlib import Path

MODELS = {  # what a request may name, and the weights that it means; `--model NAME=FOLDER` adds or changes one
    "sora-2": "embedded",
    "sora-2-pro": "embedded",
    "sora-2-2025-10-06": "embedded",
    "sora-2-2025-12-08": "embedded",
    "sora-2-pro-2025-10-06": "embedded",
    "misora": "embedded",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One server. ``data`` holds the database (unless ``db`` names another), the videos, keys and backups."""

    data: Path
    db: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    plans: Path | None = None
    models: dict[str, str] = dataclasses.field(default_factory=lambda: dict(MODELS))
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_http: bool = False
    private_webhooks: bool = False  # also plain http and addresses of this network
    trusted_proxies: tuple[str, ...] = ()
    drain_seconds: float = 30.0
    free_bytes: int = 200_000_000  # below this much free disk no new job is taken

    def database(self) -> str | Path:
        """The database's address: a file in ``data`` unless another was named."""
        return self.db or self.data / "misora.sqlite"
