"""Checks of uploads and of results, alerts, and what operators set up; a program of four lines stands for the classifier."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from misora.client.errors import UsageError
from misora.media.read import read_image
from misora.media.write import write_image
from misora.server import guard, probe
from misora.server.accounts.addresses import HOUR, Addresses
from misora.server.accounts.plans import Plan, Plans
from misora.server.files import SPRITESHEET, THUMBNAIL, Files
from misora.server.journal import GONE
from misora.server.queue import jobs
from misora.server.rendering import Renderer
from misora.server.serve import check_certificate
from misora.server.settings import Settings
from misora.server.working import BlockedError
from misora.trust.policy import PolicyConfig
from tests.server.shop import Shop, new_key
from tests.server.test_content import ask, finished

PLANS = Plans({"checked": Plan(require_check=True)})


@pytest.fixture(scope="module")
def admin(shop: Shop) -> str:
    """The operator's secret."""
    return new_key(shop.store, "operator", scopes="generate publish admin").secret


def program(folder: Path, **scores: float) -> str:
    """A classifier that says the same of everything."""
    path = folder / f"judge-{'-'.join(scores) or 'nothing'}"
    path.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps({'scores': scores})}'\n")
    path.chmod(0o755)
    return str(path)


def picture(folder: Path) -> str:
    """A small PNG as a data URL."""
    path = write_image(folder / "upload.png", torch.zeros(64, 64, 3, dtype=torch.uint8))
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def told(shop: Shop, method: str, path: str, body: object = None, secret: str | None = None) -> tuple[int, dict[str, Any]]:
    """A request and its JSON."""
    code, _, text = ask(shop, method, path, body, secret)
    return code, json.loads(text)


@pytest.mark.parametrize("scores, status, review", [({"sexual": 0.9}, "failed", "none"), ({"face": 0.9}, "", "waiting"), ({}, "", "none")])
def test_uploads_are_looked_at(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: dict[str, float], status: str, review: str
) -> None:
    monkeypatch.setattr(shop.services, "guard", guard.installed(PolicyConfig(classifier=program(tmp_path, **scores))))
    monkeypatch.setattr(shop.services.guard, "check_text", lambda text: guard.Verdict(verdict="allow"))
    sent = {"prompt": "a red ball", "size": "64x64", "input_reference": {"image_url": picture(tmp_path)}}
    code, video = told(shop, "POST", "/v1/videos", sent)
    job = jobs.get(shop.store, video["id"])
    assert code == 200 and job is not None and job.review == review
    assert (job.error_code == "moderation_blocked") == (status == "failed")
    assert (shop.files.folder(job.id) / "inputs").exists() == (status != "failed")


def test_moderations_look_at_pictures_where_somebody_can(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {"type": "image_url", "image_url": {"url": picture(tmp_path)}}
    asked = {"input": [{"type": "text", "text": "a ball"}, shown]}
    code, answer = told(shop, "POST", "/v1/moderations", asked)
    assert code == 400 and answer["error"]["param"] == "input[1]"
    monkeypatch.setattr(shop.services, "guard", guard.installed(PolicyConfig(classifier=program(tmp_path, violence=0.9))))
    monkeypatch.setattr(shop.services.guard, "check_text", lambda text: guard.Verdict(verdict="allow"))
    [result] = told(shop, "POST", "/v1/moderations", asked)[1]["results"]
    assert result["categories"]["violence"] and result["category_applied_input_types"]["violence"] == ["text", "image"]
    assert not list(shop.files.data.glob(".moderation-*"))
    wrong = {"input": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}]}
    assert told(shop, "POST", "/v1/moderations", wrong)[0] == 400


def test_a_plan_that_wants_checks_refuses_where_there_are_none(
    shop: Shop, tmp_path: Path, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = new_key(shop.store, "careful", plan="checked").secret
    monkeypatch.setattr(shop.services, "guard", guard.installed(PolicyConfig()))
    code, answer = told(shop, "POST", "/v1/videos", {"prompt": "a red ball"}, secret)
    assert code == 403 and answer["error"]["code"] == "check_unavailable" and "output" in answer["error"]["message"]
    assert told(shop, "GET", "/readyz")[1]["unchecked"] == ["prompt classifier", "upload", "output"]
    tried = told(shop, "POST", "/v1/misora/policy", {"text": "a naked woman"}, admin)[1]
    assert tried["verdict"] == "block" and tried["rule"] and tried["version"]
    monkeypatch.setattr(shop.services, "guard", guard.installed(PolicyConfig(classifier=program(tmp_path))))
    assert told(shop, "POST", "/v1/videos", {"prompt": "a red ball"}, secret)[0] == 200


def test_pictures_of_an_upload_are_what_it_shows(tmp_path: Path) -> None:
    frame = torch.arange(64 * 64 * 3, dtype=torch.int32).remainder(251).to(torch.uint8).view(64, 64, 3)
    (tmp_path / "x.png").write_bytes(probe.png(64, 64, frame.numpy().tobytes()))
    assert torch.equal(read_image(tmp_path / "x.png"), frame)


@pytest.mark.parametrize("scores, result", [({"violence": 0.8}, None), ({}, {"unchecked": [], "review": False})])
def test_what_was_made_is_looked_at(tmp_path: Path, scores: dict[str, float], result: dict[str, Any] | None) -> None:
    pictures = [write_image(tmp_path / name, torch.zeros(64, 64, 3, dtype=torch.uint8)) for name in (THUMBNAIL, SPRITESHEET)]
    renderer = Renderer(Files(tmp_path), Settings(data=tmp_path, classifier=program(tmp_path, **scores)))
    if result is None:
        with pytest.raises(BlockedError, match="blocked"):
            renderer._judged(pictures, tmp_path)
    else:
        assert renderer._judged(pictures, tmp_path) == result
    assert not list(tmp_path.glob("*.png"))


def test_a_wrong_classifier_or_half_a_certificate_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no program"):
        guard.installed(PolicyConfig(classifier=str(tmp_path / "none")))
    settings = Settings(data=tmp_path, certificate=tmp_path / "c.pem")
    for wrong in (settings, dataclasses.replace(settings, certificate_key=tmp_path / "k.pem")):
        with pytest.raises(UsageError, match=r"certificate-key|cannot be read"):
            check_certificate(wrong)
    (tmp_path / "c.pem").write_text("no certificate")
    for name in ("c.pem", "none.pem"):
        with pytest.raises(UsageError, match="cannot be used"):
            check_certificate(Settings(data=tmp_path, tls_cert=tmp_path / name, tls_key=tmp_path / "c.pem"))


def test_many_addresses_are_said_once_an_hour() -> None:
    watch = Addresses(2)
    assert [watch.seen("k", f"10.0.0.{n}", now=float(n)) for n in range(5)] == [None, None, 3, None, None]
    assert watch.seen("other", "10.0.0.1", now=9.0) is None
    assert watch.seen("k", "10.0.1.1", now=2 * HOUR) is None, "the old ones have gone"


def test_an_alert_stands_in_the_audit_log(shop: Shop, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.services.addresses, "most", 0)
    key = new_key(shop.store, "leaky")
    told(shop, "GET", "/v1/videos", secret=key.secret)
    lines = told(shop, "GET", "/v1/misora/audit", secret=admin)[1]["data"]
    assert ("key.many_addresses", key.id) in [(line["action"], line["subject"]) for line in lines]
    assert b'misora_alerts{kind="many_addresses"}' in ask(shop, "GET", "/metrics", secret=admin)[2]


def test_a_deletion_is_remembered_outside_the_database_at_once(shop: Shop, admin: str) -> None:
    name, key = finished(shop), new_key(shop.store, "gone")
    ask(shop, "DELETE", f"/v1/videos/{name}")
    told(shop, "POST", "/v1/misora/keys/end", {"action": "revoke", "key_id": key.id}, admin)
    gone = [json.loads(line) for line in (shop.files.data / GONE).read_text().splitlines()]
    assert {"video": name} in gone and {"key": key.id} in gone


def test_the_operator_changes_accounts_and_sees_plans(shop: Shop, admin: str) -> None:
    key = new_key(shop.store, "moved")
    path = f"/v1/misora/accounts/{key.account_id}"
    assert told(shop, "POST", path, {"plan": "checked"}, admin)[1]["plan"] == "checked"
    assert told(shop, "POST", path, {"plan": "none such"}, admin)[0] == told(shop, "POST", path, {}, admin)[0] == 400
    assert told(shop, "POST", "/v1/misora/accounts/acct_0", {"state": "active"}, admin)[0] == 404
    assert key.account_id in str(told(shop, "GET", "/v1/misora/accounts", secret=admin)[1])
    assert [plan["name"] for plan in told(shop, "GET", "/v1/misora/plans", secret=admin)[1]["data"]] == ["default", "checked"]
    told(shop, "POST", path, {"state": "suspended"}, admin)
    assert told(shop, "GET", "/v1/videos", secret=key.secret)[0] == 401


def test_anybody_may_remix_the_feed_and_approval_lifts_a_report(shop: Shop, admin: str) -> None:
    author, other = new_key(shop.store, "author", scopes="generate publish"), new_key(shop.store, "fan").secret
    name = finished(shop, author.secret)
    assert told(shop, "POST", f"/v1/videos/{name}/remix", {"prompt": "at night"}, other)[0] == 404
    told(shop, "POST", f"/v1/misora/videos/{name}/publish", secret=author.secret)
    code, remix = told(shop, "POST", f"/v1/videos/{name}/remix", {"prompt": "at night"}, other)
    assert code == 200 and remix["remixed_from_video_id"] == name
    told(shop, "POST", f"/v1/misora/feed/{name}/report", {"reason": "it shows me"})
    waiting = {each["id"]: each["reports"] for each in told(shop, "GET", "/v1/misora/review", secret=admin)[1]["data"]}
    assert waiting[name] == ["it shows me"] and told(shop, "POST", f"/v1/videos/{name}/remix", {"prompt": "x"}, other)[0] == 404
    told(shop, "POST", f"/v1/misora/review/{name}", {"decision": "approved", "reason": "it does not"}, admin)
    assert name in str(told(shop, "GET", "/v1/misora/feed")[1])
