"""Says of a file who signed it, whether it was changed, and whether we made it; it knows nothing of accounts or of who asks.

The signature is lost when a file is re-encoded; the watermark stays and is found with this installation's key only.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from misora.client.errors import MediaError
from misora.media.limits import LIMITS, Limits
from misora.trust import provenance

OURS = "Trusted"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What is known of a file. ``made_here`` rests on our own signature or on the watermark; ``job`` may be told to its owner only.

    ``payload`` is what the watermark carries: ``coding.payload_of(job)`` of the job that made the file.
    """

    signed: bool
    trusted: bool
    changed: bool
    signer: str
    made_here: bool
    watermark: bool
    mirrored: bool
    generated: bool
    actions: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    job: str = ""
    prompt_sha256: str = ""
    payload: int | None = None

    def public(self) -> dict[str, Any]:
        """The report without what only the owner may see: no job, no hash of the prompt, no payload."""
        facts = dataclasses.asdict(self)
        return {name: value for name, value in facts.items() if name not in ("job", "prompt_sha256", "payload")}


def verify(path: Path, *, anchors: str = "", mark_key: bytes | None = None, thorough: bool = True, limits: Limits = LIMITS) -> Report:
    """Look at a stranger's file. ``anchors`` are the roots that we trust, ``mark_key`` the watermark's key; None leaves that out.

    Raises MediaError for what is no video or image, and MissingExtraError without ``misora[sign]``.
    """
    told = provenance.read(path, anchors) or {}
    ours = told.get("state") == OURS and "Misora" in told.get("issuer", "")
    found = _watermark(path, mark_key, thorough, limits) if mark_key else None
    job = told.get("job", {})
    return Report(
        signed=bool(told),
        trusted=told.get("state") == OURS,
        changed=told.get("state") == "Invalid",
        signer=told.get("signer", ""),
        made_here=bool(ours or (found and found.certain)),
        watermark=bool(found and found.certain),
        mirrored=bool(found and found.certain and found.mirrored),
        generated="lgorithmicMedia" in told.get("source", ""),
        actions=tuple(told.get("actions", ())),
        ingredients=tuple(told.get("ingredients", ())),
        failures=tuple(told.get("failures", ())),
        job=str(job.get("job", "")) if ours else "",
        prompt_sha256=str(job.get("prompt_sha256", "")) if ours else "",
        payload=found.payload if found and found.certain else None,
    )


def _watermark(path: Path, key: bytes, thorough: bool, limits: Limits) -> Any:
    from misora.media.read import read_untrusted
    from misora.trust.detect import detect

    try:
        frames, _ = read_untrusted(path, limits)
    except MediaError as error:
        raise MediaError(f"{path.name} cannot be looked at: {error}") from None
    return detect(frames, key, thorough=thorough)
