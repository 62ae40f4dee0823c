"""The code that is offered for copying asks for the same video again: it is run, and the two requests are compared; nothing is drawn."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from misora.cli.main import build_parser
from misora.server.queue import jobs
from tests.server.shop import Shop, quick
from tests.server.test_content import ask, finished
from tests.studio.conftest import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")]
PROMPT = 'it\'s a "red" ball, $HOME \\ 赤い球'
WRITTEN = """async (id) => {
  const { code } = await import("/studio/parts/code.js");
  return code(await (await fetch(`/v1/misora/videos/${id}`)).json());
}"""


def orders(first: str, second: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """A path and a body for each verb, with two videos to begin from."""
    given = {"prompt": PROMPT, "seed": 7}
    return {
        "generate": (
            "/v1/videos",
            given | {"size": "512x512", "seconds": "5", "steps": 3, "guidance": 2.5, "negative_prompt": "it's rain"},
        ),
        "loop": ("/v1/videos", given | {"loop": True}),
        "storyboard": (
            "/v1/videos",
            given | {"storyboard": [{"prompt": "a", "seconds": 2}, {"prompt": "b", "seconds": 2, "cut": True, "video": {"id": first}}]},
        ),
        "remix": (f"/v1/videos/{first}/remix", given | {"strength": 0.4}),
        "edit": ("/v1/videos/edits", given | {"video": {"id": first}, "strength": 0.85}),
        "recut": (
            "/v1/videos/edits",
            given | {"video": {"id": first}, "inpaint": {"x": 0, "y": 0, "width": 64, "height": 64, "from": 1, "to": 2}},
        ),
        "keep": ("/v1/videos/edits", given | {"video": {"id": first}, "strength": 0, "trim": {"from": 1, "to": 3}}),
        "closed": ("/v1/videos/edits", given | {"video": {"id": first}, "loop": "short"}),
        "blend": ("/v1/videos/edits", given | {"video": {"id": first}, "connect": {"id": second}, "gap": 3}),
        "extend": ("/v1/videos/extensions", given | {"video": {"id": first}, "seconds": "5", "backward": True}),
    }


def test_what_is_copied_asks_for_the_same_again(shop: Shop, visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shop, "render", quick)
    page = visitor.signed_in(shop.key.secret)
    first, second = finished(shop), finished(shop)
    for verb, (path, body) in orders(first, second).items():
        name = json.loads(ask(shop, "POST", path, body)[2])["id"]
        written = page.evaluate(WRITTEN, name)
        told: dict[str, Any] = {}
        exec(written["sdk"].replace("YOUR_KEY", shop.key.secret), told)
        assert Path("video.mp4").stat().st_size > 0
        _, url, *_, data = shlex.split(written["curl"].replace("\\\n", ""))
        code, _, answer = ask(shop, "POST", url.removeprefix(shop.url), json.loads(data))
        assert code == 200, answer
        wanted, *made = (jobs.get(shop.store, each) for each in (name, told["video"].id, json.loads(answer)["id"]))
        for job in made:
            for field in ("verb", "prompt", "model", "size", "seconds", "remixed_from", "request"):
                assert getattr(job, field) == getattr(wanted, field), (verb, field, written)
        assert len({name, *(job.id for job in made if job)}) == 3
        if verb in ("storyboard", "keep"):  # the command line has no flags for these
            assert "cli" not in written
            continue
        misora, *words = shlex.split(written["cli"])
        args = build_parser().parse_args(words)
        assert misora == "misora" and args.server == shop.url and args.seed == 7
