"""The studio against a real `misora serve` with the embedded weights: previews that come nearer, a server that dies in mid-job."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.studio.conftest import Visitor
from tests.tree import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
LONG = 300_000  # milliseconds: a cold start on a busy machine
# The mean difference of two pictures at 44x24.
DISTANCE = """async (addresses) => {
  const [a, b] = await Promise.all(addresses.map(async (address) => {
    const image = new Image(), canvas = document.createElement("canvas");
    image.src = address;
    await image.decode();
    canvas.width = 44; canvas.height = 24;
    const ink = canvas.getContext("2d");
    ink.drawImage(image, 0, 0, 44, 24);
    return ink.getImageData(0, 0, 44, 24).data;
  }));
  return a.reduce((sum, each, place) => sum + Math.abs(each - b[place]), 0) / a.length;
}"""


class Server:
    """A real server that can be killed and started again at the same port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and return when it is ready."""
        command = [sys.executable, "-m", "misora", "serve", "--port", str(self.port), "--data", str(self.data)]
        told = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "cwd": ROOT, "text": True, "start_new_session": True}
        self.process: subprocess.Popen[str] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **told)  # type: ignore[call-overload]
        assert self.process.stdout is not None
        assert any("ready at" in line for line in self.process.stdout)
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()

    def end(self, number: int) -> None:
        """End it with a signal."""
        self.process.send_signal(number)
        self.process.wait(60)
        self.reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that runs."""
    made = Server(tmp_path / "data")
    made.start()
    yield made
    made.end(signal.SIGTERM)


def previews(page: Any, most: float) -> list[str]:
    """The previews as data URLs, oldest first, until the film is there or ``most`` seconds are over."""
    page.evaluate(
        """() => {
          window.kept = [];
          const look = () => {
            const image = document.querySelector(".preview");
            if (image?.src && image.complete && image.naturalWidth && window.last !== image.src) {
              window.last = image.src;
              const canvas = document.createElement("canvas");
              canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
              canvas.getContext("2d").drawImage(image, 0, 0);
              window.kept.push(canvas.toDataURL());
            }
            if (!document.querySelector(".stage > video")) setTimeout(look, 50);
          };
          look();
        }"""
    )
    end = time.monotonic() + most
    while time.monotonic() < end and not page.locator(".stage > video").count():
        page.wait_for_timeout(200)
    return list(page.evaluate("() => window.kept"))


def test_from_a_sentence_to_a_film_through_a_killed_server(browser: Browser, server: Server) -> None:
    visitor = Visitor(browser, server.url)
    visitor.forgiven = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    page = visitor.signed_in((server.data / "admin.key").read_text().strip())
    page.set_default_timeout(LONG)
    page.fill(".compose textarea", "a red ball bounces on a wooden floor")
    page.click(".more summary")
    page.fill("label:text-is('Seed') + input", "7")
    page.fill("label:text-is('Steps') + input", "30")  # long enough to be watched
    page.press(".compose textarea", "Control+Enter")
    page.wait_for_selector(".preview:not([hidden])")
    server.end(signal.SIGKILL)
    page.wait_for_selector(".offline:not([hidden])")
    server.start()
    kept = previews(page, LONG / 1000)
    page.wait_for_selector(".watch .stage > video")
    page.wait_for_function("() => document.querySelector('.stage > video').readyState >= 2")
    assert len(kept) >= 2 and kept[0] != kept[-1]
    thumbnail = page.evaluate("() => document.querySelector('.stage > video').poster")  # the moment that previews show
    first, last = (page.evaluate(DISTANCE, [each, thumbnail]) for each in (kept[0], kept[-1]))
    assert last < first
    page.click(".provenance summary")
    page.wait_for_selector(".provenance .verdict.ours")
    visitor.close()
