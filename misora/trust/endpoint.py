"""Asks a server that answers as OpenAI's ``/v1/moderations`` does; it knows nothing of our rules and sends nothing but the text."""

from __future__ import annotations

import json
import urllib.request

from misora.trust.decision import Decision

LARGEST_ANSWER = 1_000_000  # bytes
SOCKET_SECONDS = 10.0  # the policy's own timeout is shorter; this only ends the thread
CATEGORIES = {"sexual/minors": "minors", "harassment": "hate", "harassment/threatening": "hate"}  # the rest: what stands before the slash


class Endpoint:
    """``Endpoint(url, key).check(text)`` is ``block`` for what the server flags. Raises OSError, ValueError or KeyError."""

    def __init__(self, url: str, key: str, model: str) -> None:
        self.url, self._key, self.model = url, key, model

    def check(self, text: str) -> Decision:
        """One question and its answer."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        body = json.dumps({"model": self.model, "input": text}).encode()
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        with _opener().open(request, timeout=SOCKET_SECONDS) as answer:
            results = json.loads(answer.read(LARGEST_ANSWER))["results"]
        flagged = [name for result in results if result["flagged"] for name, raised in result["categories"].items() if raised]
        if not any(result["flagged"] for result in results):
            return Decision()
        name = min(flagged, key=lambda name: name != "sexual/minors") if flagged else "other"
        return Decision(verdict="block", category=CATEGORIES.get(name, name.split("/")[0]), rule=f"endpoint.{name}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A moderation server has no reason to send prompts and the key elsewhere."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirect)
