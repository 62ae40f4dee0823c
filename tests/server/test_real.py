"""The official SDK, every method of both clients, against a real ``misora serve`` with the embedded weights, also when it is restarted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

from misora.media.read import probe
from misora.trust.provenance import read
from tests.tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")]
SMALL = {"steps": 1, "seed": 1}
SIDE = "128x128"


class Served:
    """One ``misora serve`` in a folder, which can be started again."""

    def __init__(self, data: Path) -> None:
        self.data, self.process = data, None
        self.start()

    def start(self) -> None:
        """Start it and read its address."""
        command = [sys.executable, "-m", "misora", "serve", "--data", str(self.data), "--port", "0", "--drain", "0"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        assert self.process.stdout is not None
        self.url = next(line for line in self.process.stdout if "ready" in line).split()[-1]

    def stop(self, *, hard: bool = False) -> None:
        """End it, politely or not."""
        assert self.process is not None and self.process.stdout is not None
        (self.process.kill if hard else self.process.terminate)()
        self.process.wait(60)
        self.process.stdout.close()

    def workers(self) -> list[int]:
        """The processes that it started."""
        assert self.process is not None
        return [int(each) for each in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    @property
    def key(self) -> str:
        """The first admin key."""
        return (self.data / "admin.key").read_text().strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fresh server."""
    made = Served(tmp_path_factory.mktemp("served") / "data")
    yield made
    made.stop()


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    """The SDK."""
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0) as made:
        yield made


def test_an_official_size_passes_strict_validation_and_is_what_it_says(served: Served, tmp_path: Path) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.key, _strict_response_validation=True) as strict:
        video = strict.videos.create_and_poll(prompt="a red ball bounces", extra_body=SMALL)
        assert (video.status, video.seconds, video.size, video.progress) == ("completed", "4", "720x1280", 100), video.error
        strict.videos.download_content(video.id).write_to_file(tmp_path / "film.mp4")
        assert video.id in [each.id for each in strict.videos.list(limit=1)]
    info = probe(tmp_path / "film.mp4")
    assert (info.width, info.height, info.frame_rate) == (720, 1280, 24) and abs(info.seconds - 4) < 0.05
    told = read(tmp_path / "film.mp4", (served.data / "signing" / "root.pem").read_text())
    assert told is not None and told["state"] == "Trusted" and told["job"]["job"] == video.id


def test_every_method_of_the_client(client: openai.OpenAI, tmp_path: Path) -> None:
    small = {"size": SIDE, "extra_body": SMALL}
    first = client.videos.create(prompt="a blue cube slides to the left", **small)
    assert first.status == "queued" or first.status == "in_progress"
    assert client.videos.poll(first.id).status == "completed" and client.videos.retrieve(first.id).progress == 100
    for variant, start in (("video", b"ftyp"), ("thumbnail", b"RIFF"), ("spritesheet", b"RIFF")):
        assert start in client.videos.download_content(first.id, variant=variant).read()[:12]
    from_clip = {"video": openai.omit, "extra_body": {"video": {"id": first.id}} | SMALL}
    film = tmp_path / "film.mp4"
    client.videos.download_content(first.id).write_to_file(film)
    made = [
        client.videos.remix(first.id, prompt="a red cube", extra_body=SMALL),
        client.videos.edit(prompt="a red cube", **from_clip),
        client.videos.edit(prompt="a red cube", video=film, extra_body=SMALL),
        client.videos.extend(prompt="it goes on", seconds="4", **from_clip),
    ]
    cast = client.videos.create_character(name="Cube", video=film)
    assert client.videos.get_character(cast.id).name == "Cube"
    made.append(client.videos.create(prompt="a green ball", size=SIDE, extra_body=SMALL | {"characters": [{"id": cast.id}]}))
    made.append(client.videos.create(prompt="a cube", size=SIDE, extra_body=SMALL | {"loop": True}))
    done = [client.videos.poll(each.id) for each in made]
    assert [each.status for each in done] == ["completed"] * len(done), [each.error for each in done]
    assert done[0].remixed_from_video_id == first.id and done[3].seconds == "8"
    assert {each.id for each in done} < {each.id for each in client.videos.list(limit=2)}
    assert client.videos.delete(first.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.download_content(first.id)


def test_every_method_of_the_async_client(served: Served) -> None:
    async def run() -> None:
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0) as client:
            video = await client.videos.create_and_poll(prompt="a red ball", size=SIDE, extra_body=SMALL)  # type: ignore[arg-type]
            assert video.status == "completed", video.error
            content = (await client.videos.download_content(video.id)).content
            assert content[4:8] == b"ftyp"
            from_clip = {"video": {"id": video.id}} | SMALL
            remix = await client.videos.remix(video.id, prompt="a blue ball", extra_body=SMALL)
            edit = await client.videos.edit(prompt="a blue ball", video=openai.omit, extra_body=from_clip)
            longer = await client.videos.extend(prompt="it goes on", seconds="4", video=openai.omit, extra_body=from_clip)
            cast = await client.videos.create_character(name="Ball", video=("ball.mp4", content, "video/mp4"))
            assert (await client.videos.get_character(cast.id)).name == "Ball"
            for each in (remix, edit, longer):
                assert (await client.videos.poll(each.id)).status == "completed"
            assert video.id in [each.id async for each in client.videos.list(limit=2)]
            assert (await client.videos.delete(video.id)).deleted

    asyncio.run(run())


def until(done: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_progress_is_the_samplers_and_a_deleted_job_stops(served: Served, client: openai.OpenAI) -> None:
    long = client.videos.create(prompt="a red ball", seconds="20", size="1280x720")
    shown = lambda: client.videos.retrieve(long.id).progress
    until(lambda: shown() > 2)
    [worker] = served.workers()
    os.kill(worker, signal.SIGSTOP)
    time.sleep(1)
    frozen = shown()
    time.sleep(3)
    assert shown() == frozen and client.videos.retrieve(long.id).status == "in_progress"
    os.kill(worker, signal.SIGCONT)
    until(lambda: shown() > frozen)
    assert client.videos.delete(long.id).deleted
    next_one = client.videos.create(prompt="a red ball", size=SIDE, extra_body=SMALL)  # type: ignore[arg-type]
    assert client.videos.poll(next_one.id).status == "completed"
    assert not (served.data / "videos" / long.id).exists()


def test_a_job_in_hand_survives_a_kill_of_the_server(served: Served, client: openai.OpenAI) -> None:
    kept = client.videos.create(prompt="a red ball", size=SIDE, extra_body=SMALL)  # type: ignore[arg-type]
    until(lambda: client.videos.retrieve(kept.id).status != "queued")
    served.stop(hard=True)
    served.start()
    with contextlib.closing(openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.key)) as again:
        assert again.videos.poll(kept.id).status == "completed"
