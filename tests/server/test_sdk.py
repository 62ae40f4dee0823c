"""The official SDK, unmodified, against the whole API with a render that takes no time; it knows nothing of the server's inside."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import openai
import pytest

from tests.server.shop import FILM, Shop

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")  # it is served on here
KEYS = {"id", "object", "created_at", "status", "completed_at", "error", "expires_at", "model", "progress", "prompt"}
KEYS |= {"remixed_from_video_id", "seconds", "size"}


def made(client: openai.OpenAI, prompt: str = "a red ball", **given: object) -> openai.types.Video:
    """A finished video."""
    video = client.videos.create_and_poll(prompt=prompt, poll_interval_ms=20, **given)
    assert video.status == "completed", video.error
    return video


def test_create_poll_download_delete(client: openai.OpenAI, tmp_path: Path) -> None:
    video = client.videos.create(prompt="青い箱 🎈", seconds="8", size="1280x720", model="sora-2-pro")
    assert set(video.model_dump()) >= KEYS and video.status in ("queued", "in_progress", "completed") and video.prompt == "青い箱 🎈"
    done = client.videos.poll(video.id, poll_interval_ms=20)
    assert (done.status, done.progress, done.seconds, done.size, done.model) == ("completed", 100, "8", "1280x720", "sora-2-pro")
    for variant in ("video", "thumbnail", "spritesheet"):
        content = client.videos.download_content(video.id, variant=variant)
        assert content.read() == FILM
        assert content.response.headers["content-type"] == ("video/mp4" if variant == "video" else "image/webp")
    assert client.videos.delete(video.id).deleted
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.videos.retrieve(video.id)


def test_the_poll_helper_is_told_when_to_come_back(client: openai.OpenAI) -> None:
    answer = client.videos.with_raw_response.create(prompt="x")
    assert int(answer.headers["openai-poll-after-ms"]) > 0 and answer.headers["x-request-id"].startswith("req_")
    assert answer.parse()._request_id == answer.headers["x-request-id"]


def test_a_storyboard_goes_through_the_clients_own_form(client: openai.OpenAI) -> None:
    cards = [{"prompt": "a red ball rolls", "seconds": "2"}, {"prompt": "it falls", "seconds": "3"}]
    assert client.videos.create(prompt="a red ball", seconds="5", extra_body={"storyboard": cards}).seconds == "5"


def test_every_page_is_walked(client: openai.OpenAI) -> None:
    names = {made(client, f"clip {n}").id for n in range(3)}
    seen = [video.id for video in client.videos.list(limit=2)]
    assert names <= set(seen) and len(seen) == len(set(seen))
    assert [video.id for video in client.videos.list(limit=2, order="asc")] == seen[::-1]


def test_verbs_begin_from_a_video(client: openai.OpenAI) -> None:
    first = made(client, seconds="4", size="720x1280")
    remix = client.videos.remix(first.id, prompt="at night")
    assert remix.remixed_from_video_id == first.id and remix.seconds == "4"
    as_form = {"video": {"id": first.id}}
    spent = lambda: json.loads(client.get("/misora/usage", cast_to=str))["seconds"]
    before = spent()
    longer = client.videos.extend(prompt="it goes on", seconds="8", video=openai.omit, extra_body=as_form)
    assert longer.seconds == "12" and longer.size == first.size and spent() - before == 8  # the four that were there cost nothing
    as_json = {"Content-Type": "application/json"}
    edited = client.videos.edit(prompt="in blue", video=openai.omit, extra_body=as_form, extra_headers=as_json)
    assert client.videos.poll(edited.id, poll_interval_ms=20).status == "completed"


def test_the_async_client_does_the_same(shop: Shop) -> None:
    async def run() -> None:
        async with openai.AsyncOpenAI(base_url=f"{shop.url}/v1", api_key=shop.key.secret, _strict_response_validation=True) as client:
            video = await client.videos.create_and_poll(prompt="a ball", poll_interval_ms=20)
            assert video.status == "completed"
            assert (await client.videos.download_content(video.id)).content == FILM
            assert video.id in [each.id async for each in client.videos.list(limit=1)]
            assert (await client.videos.delete(video.id)).deleted

    asyncio.run(run())


def test_raw_and_streamed_answers_and_objects_written_as_text(client: openai.OpenAI) -> None:
    video = made(client)
    with client.videos.with_streaming_response.download_content(video.id) as answer:
        assert b"".join(answer.iter_bytes(1000)) == FILM and answer.headers["accept-ranges"] == "bytes"
    raw = client.videos.with_raw_response.list(limit=1)
    assert raw.parse().data and raw.headers["openai-organization"].startswith("acct_")
    as_text = {"video": f'{{"id": "{video.id}"}}', "trim": '{"from": 0, "to": 2}'}  # what `curl -F` makes of an object
    assert client.videos.edit(prompt="x", video=openai.omit, extra_body=as_text).seconds == "2"


@pytest.mark.parametrize(
    "given, param",
    [
        ({"seconds": "3"}, "seconds"),
        ({"seconds": "21"}, "seconds"),
        ({"size": "wide"}, "size"),
        ({"size": "721x1280"}, "size"),
        ({"model": "sora-9"}, "model"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"prompt": "x" * 32001}, "prompt"),
        ({"extra_body": {"fps": 9}}, "fps"),
        ({"extra_body": {"seed": "many"}}, "seed"),
        ({"extra_body": {"characters": "[1"}}, "characters"),
        ({"input_reference": b"ffconcat version 1.0"}, "input_reference"),
    ],
)
def test_a_mistake_is_named(client: openai.OpenAI, given: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.create(**({"prompt": "x"} | given))
    assert caught.value.param == param and caught.value.type == "invalid_request_error" and caught.value.code
    assert caught.value.request_id


def test_strangers_and_wrong_keys_get_nowhere(shop: Shop, client: openai.OpenAI) -> None:
    video = client.videos.create(prompt="mine")
    from tests.server.shop import new_key

    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=new_key(shop.store, "other").secret, max_retries=0) as other:
        for call in (other.videos.retrieve, other.videos.delete, other.videos.download_content):
            with pytest.raises(openai.NotFoundError):
                call(video.id)
        assert not other.videos.list().data
    with (
        openai.OpenAI(base_url=f"{shop.url}/v1", api_key="sk-wrong", max_retries=0) as wrong,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        wrong.videos.list()
    assert caught.value.code == "invalid_api_key"


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert {"sora-2", "sora-2-pro"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("sora-2").owned_by == "misora"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("sora-9")
