"""The Files and Batch APIs through the official SDK: files are kept and named, orders of a file become videos; it knows no SQL."""

from __future__ import annotations

import json
from pathlib import Path

import openai
import pytest

from misora.server.accounts import keys
from misora.server.api import batches
from misora.server.queue import jobs
from misora.server.working import Progress
from tests.server.shop import Shop, new_key, quick

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def batch_of(client: openai.OpenAI, *bodies: dict[str, object]) -> openai.types.Batch:
    """A batch with these orders, named by their place."""
    lines = [{"custom_id": str(place), "method": "POST", "url": "/v1/videos", "body": body} for place, body in enumerate(bodies)]
    text = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("orders.jsonl", text), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/videos", completion_window="24h", metadata={"for": "a test"})


def ended(shop: Shop, client: openai.OpenAI, batch: openai.types.Batch) -> openai.types.Batch:
    """The batch once it is over."""
    while (now := client.batches.retrieve(batch.id)).status == "in_progress":
        batches.advance(shop.services)
    return now


def lines_of(client: openai.OpenAI, file_id: str | None) -> dict[str, dict[str, object]]:
    """What a file of results says of each order."""
    assert file_id is not None
    found = map(json.loads, client.files.content(file_id).text.splitlines())
    return {line["custom_id"]: line["response"] for line in found}


def test_files_are_kept_listed_named_and_erased(shop: Shop, client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "ball.png"
    path.write_bytes(PICTURE)
    file = client.files.create(file=path, purpose="vision", expires_after={"anchor": "created_at", "seconds": 3600})
    assert (file.filename, file.bytes, file.status) == ("ball.png", len(PICTURE), "processed")
    assert file.expires_at == file.created_at + 3600 and client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == PICTURE
    assert [each.id for each in client.files.list(purpose="vision", limit=1)] == [file.id]
    body = {"input_reference": {"file_id": file.id}}
    video = client.videos.create(prompt="a ball", extra_body=body)
    assert client.videos.poll(video.id, poll_interval_ms=20).status == "completed"
    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=new_key(shop.store).secret, max_retries=0) as other:
        for call in (lambda: other.files.retrieve(file.id), lambda: other.files.delete(file.id), lambda: other.files.content(file.id)):
            with pytest.raises(openai.NotFoundError, match="No such File"):
                call()
        with pytest.raises(openai.BadRequestError, match="No such File"):
            other.videos.create(prompt="a ball", extra_body=body)
    assert client.files.delete(file.id).deleted and not (shop.files.data / "files" / file.id).exists()
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


def test_a_batch_becomes_videos_and_two_files(shop: Shop, client: openai.OpenAI) -> None:
    batch = batch_of(client, {"prompt": "a red ball", "size": "1280x720"}, {"prompt": "a ball", "seconds": "5.5"}, {"prompt": "a cube"})
    assert batch.status == "in_progress" and batch.metadata == {"for": "a test"}
    done = ended(shop, client, batch)
    assert done.status == "completed" and done.completed_at and done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 2, 1)
    good, bad = lines_of(client, done.output_file_id), lines_of(client, done.error_file_id)
    assert good.keys() == {"0", "2"} and bad.keys() == {"1"}
    first = good["0"]["body"]
    assert isinstance(first, dict) and client.videos.retrieve(first["id"]).size == "1280x720" and first["status"] == "completed"
    assert bad["1"]["status_code"] == 400 and bad["1"]["body"]["error"]["param"] == "seconds"  # type: ignore[index]
    assert batch.id in [each.id for each in client.batches.list(limit=1)]


def test_a_line_becomes_one_job_even_when_its_server_dies_between(
    shop: Shop, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, before = batch_of(client, {"prompt": "once"}), len(list(client.videos.list()))
    with monkeypatch.context() as patch:
        patch.setattr(batches.batches, "settle", lambda *given, **more: None)
        batches.advance(shop.services)
    assert ended(shop, client, batch).status == "completed" and len(list(client.videos.list())) == before + 1


def test_a_cancelled_batch_keeps_what_is_done(shop: Shop, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(job: jobs.Job, folder: Path, progress: Progress) -> dict[str, object]:
        while job.prompt == "long":
            progress(1, "drawing")
        return quick(job, folder, progress)

    monkeypatch.setattr(shop, "render", slow)
    batch = batch_of(client, {"prompt": "short"}, {"prompt": "long"})
    while (client.batches.retrieve(batch.id).request_counts or batch.request_counts).completed < 1:  # type: ignore[union-attr]
        batches.advance(shop.services)
    gone = client.batches.cancel(batch.id)
    assert gone.status == "cancelled" and gone.cancelled_at
    assert lines_of(client, gone.output_file_id).keys() == {"0"} and lines_of(client, gone.error_file_id).keys() == {"1"}
    with pytest.raises(openai.BadRequestError, match="Cannot cancel"):
        client.batches.cancel(batch.id)


def test_a_file_that_is_no_batch_fails_as_a_whole_and_says_where(client: openai.OpenAI) -> None:
    good = b'{"custom_id": "%s", "method": "POST", "url": "/v1/videos", "body": {}}\n'
    text = good % b"a" + b'no\n{"custom_id": "a"}\n' + good % b"\\ud800"
    file = client.files.create(file=("orders.jsonl", text), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/videos", completion_window="24h")
    assert batch.status == "failed" and batch.errors is not None and [each.line for each in batch.errors.data or ()] == [2, 3, 4]
    with pytest.raises(openai.BadRequestError, match="Supported values are: '/v1/videos'"):
        client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    with pytest.raises(openai.BadRequestError, match="No such File"):
        client.batches.create(input_file_id="file-x", endpoint="/v1/videos", completion_window="24h")


def test_a_revoked_key_takes_its_batch_along(shop: Shop) -> None:
    key = new_key(shop.store)
    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=key.secret, max_retries=0) as other:
        batch = batch_of(other, {"prompt": "a ball"})
    keys.revoke(shop.store, key_id=key.id)
    while batches.advance(shop.services):
        pass
    row = batches.batches.get(shop.store, batch.id, key.account_id)
    assert row is not None and row["status"] == "completed" and row["output_file"] is None and row["error_file"]
