"""Misora's own client and the client of 2024 against a whole server that renders nothing real; they know nothing of its inside."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from misora.client import http
from misora.client.errors import ServerError, UsageError
from misora.client.http import AsyncClient, Client
from sora_api import ApiException, SoraClient, size_of
from tests.server.shop import FILM, Shop
from tests.tree import ROOT


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again soon."""
    monkeypatch.setattr(http, "POLL", 0.02)


def test_the_async_client_does_all_that_the_other_does() -> None:
    methods = [{name for name in vars(kind) if not name.startswith("_")} for kind in (Client, AsyncClient)]
    assert methods[0] == methods[1]


def test_the_whole_way(shop: Shop, tmp_path: Path) -> None:
    client = Client(base_url=shop.url, api_key=shop.key.secret)
    video = client.generate("a red ball", seconds="8", seed=3)
    assert (video.status, video.seconds, video.raw["object"]) == ("completed", "8", "video")
    assert client.download(video.id, tmp_path / "x.mp4").read_bytes() == FILM and len(list(tmp_path.iterdir())) == 1
    assert client.remix(video.id, "in blue").remixed_from_video_id == video.id
    assert client.extend("on", video.id, 4).seconds == "12"
    with urllib.request.urlopen(client.link(video.id)) as answer:
        assert answer.read() == FILM
    assert video.id in [each.id for each in client.list(limit=1)]
    client.delete(video.id)
    with pytest.raises(ServerError) as caught:
        client.retrieve(video.id)
    assert caught.value.status == 404 and caught.value.request_id


def test_a_mistake_is_told_and_a_file_goes_as_a_form(shop: Shop) -> None:
    client = Client(base_url=shop.url, api_key=shop.key.secret)
    with pytest.raises(ServerError, match="Supported values") as caught:
        client.create("x", seconds="99")
    assert (caught.value.status, caught.value.param) == (400, "seconds")
    with pytest.raises(ServerError, match="no video or image") as caught:
        client.create("x", seed=3, loop=True, input_reference=b"no picture")
    assert caught.value.param == "input_reference"


def test_the_async_client_does_the_same(shop: Shop, tmp_path: Path) -> None:
    async def run() -> None:
        client = AsyncClient(base_url=shop.url, api_key=shop.key.secret)
        video = await client.generate("a red ball")
        assert (await client.download(video.id, tmp_path / "x.mp4")).read_bytes() == FILM
        await client.delete(video.id)

    asyncio.run(run())


def test_the_snippet_of_2024_runs_as_written(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISORA_BASE_URL", shop.url)
    client = SoraClient(api_key=shop.key.secret)
    made = client.generate_video(text_prompt="a red ball", duration=20, aspect="16:9", res="1080p", quality="high")
    assert (made.duration, made.size) == (20, "1920x1080")
    with urllib.request.urlopen(made.video_url) as answer:
        assert answer.read() == FILM
    assert client.generate_video(text_prompt="x", duration=15, aspect="1:1", res="480p").size == "480x480"
    for wrong in ({"duration": 99}, {"aspect": "wide"}, {"quality": "best"}):
        with pytest.raises(ApiException):
            client.generate_video(text_prompt="x", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ApiException, match="Incorrect API key"):
        SoraClient(api_key="wrong").generate_video(text_prompt="x")


def test_sizes_have_even_sides() -> None:
    assert [size_of(aspect, "480p") for aspect in ("16:9", "9:16", "1:1", "4:3")] == ["854x480", "480x854", "480x480", "640x480"]


def test_the_clients_load_no_library() -> None:
    code = "import sys, sora_api; print([name for name in ('torch', 'starlette', 'sqlalchemy', 'httpx', 'av') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_no_key_and_no_server_are_told_at_once() -> None:
    with pytest.raises(UsageError, match="key"):
        Client(base_url="http://127.0.0.1:1")
    with pytest.raises(ServerError, match="could not be reached"):
        Client(base_url="http://127.0.0.1:1", api_key="x").retrieve("v")
