"""Whether a file was made here, over HTTP: anybody may ask, the job is told to its owner only; it knows nothing of how marks are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from misora.media.write import write_video
from misora.server.api import verify
from misora.server.queue import jobs
from misora.trust.coding import payload_of
from misora.trust.provenance import Signer, Story
from tests.server.shop import Shop, new_key
from tests.server.test_content import ask, finished

NOTHING = {"signed": False, "made_here": True, "watermark": True, "job": "", "prompt_sha256": ""}


def send(shop: Shop, data: bytes, secret: str | None = None, path: str = "/v1/verify") -> tuple[int, dict[str, Any]]:
    """Ask what a file is; with an empty ``secret`` as nobody."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="upload"\r\n\r\n' + data + b"\r\n--b--\r\n"
    who = {"authorization": f"Bearer {secret}"} if secret else {}
    import http.client

    connection = http.client.HTTPConnection(shop.url.removeprefix("http://"), timeout=120)
    connection.request("POST", path, body, {"content-type": "multipart/form-data; boundary=b"} | who)
    with connection.getresponse() as answer:
        told = answer.status, json.loads(answer.read())
    connection.close()
    return told


def test_a_file_of_ours_is_known_and_its_job_only_to_the_owner(shop: Shop, tmp_path: Path) -> None:
    name, signer = finished(shop), Signer.open(shop.files.data / "signing")
    plain = write_video(tmp_path / "plain.mp4", torch.randint(0, 255, (4, 64, 64, 3), dtype=torch.uint8), 24)
    film = signer.sign(plain, tmp_path / "film.mp4", Story(job=name, prompt="a red ball"))
    code, told = send(shop, film.read_bytes(), shop.key.secret)
    assert code == 200 and told["signed"] and told["trusted"] and told["made_here"] and not told["changed"] and told["job"] == name
    whole = bytearray(film.read_bytes())
    whole[-20] ^= 255
    code, told = send(shop, bytes(whole))
    assert code == 200 and told["changed"] and told["job"] is None and "prompt_sha256" not in told and "payload" not in told


def test_what_is_no_video_is_said_so(shop: Shop) -> None:
    for data in (b"", b"ffconcat version 1.0\nfile secret", b"\0\0\0\x18ftypmp42" + b"x" * 99):
        code, told = send(shop, data)
        assert code == 400 and told["error"]["param"] == "file" and "file" in told["error"]["message"]
    assert send(shop, b"x", "wrong")[0] == 401


def test_a_watermark_leads_its_owner_to_the_job_and_nobody_else(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    name = finished(shop)

    async def examined(*given: Any, **more: Any) -> dict[str, Any]:
        return NOTHING | {"payload": payload_of(name)}

    monkeypatch.setattr(verify, "_examined", examined)
    other = new_key(shop.store, "stranger").secret
    assert send(shop, b"x", shop.key.secret)[1]["job"] == name
    assert send(shop, b"x", other)[1]["job"] is None
    assert json.loads(ask(shop, "GET", f"/v1/misora/videos/{name}/provenance")[2])["job"] == name
    assert ask(shop, "GET", f"/v1/misora/videos/{name}/provenance", secret=other)[0] == 404
    codes = [send(shop, b"x", other)[0] for _ in range(verify.PER_MINUTE)]
    assert codes[-1] == 429 and set(codes) == {200, 429}
    jobs.delete(shop.store, name, shop.key.account_id)
    assert send(shop, b"x", shop.key.secret)[1]["job"] is None
