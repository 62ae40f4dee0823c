"""How one server is set up; it knows nothing of how the settings came."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from misora.trust.policy import PolicyConfig

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
    moderation_url: str = ""  # answers as OpenAI's /v1/moderations does
    moderation_key: str = dataclasses.field(default="", repr=False)
    classifier: str = ""  # a program, see misora.trust.classifier
    check_fails: Literal["block", "review", "unchecked"] = "review"  # what it means when one of these two cannot answer
    certificate: Path | None = None  # the operator's own chain, PEM, in place of ours
    certificate_key: Path | None = None
    visible_mark: bool = False
    many_addresses: int = 20  # client addresses of one key in an hour that raise an alert

    def policy(self) -> PolicyConfig:
        """Which checks there are beside our own rules."""
        return PolicyConfig(
            endpoint=self.moderation_url,
            endpoint_key=self.moderation_key,
            endpoint_fails=self.check_fails,
            classifier=self.classifier,
            classifier_fails=self.check_fails,
        )

    def database(self) -> str | Path:
        """The database's address: a file in ``data`` unless another was named."""
        return self.db or self.data / "misora.sqlite"
