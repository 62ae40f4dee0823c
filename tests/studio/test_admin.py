"""The operator's page, and the page that verifies: what is done there is done on the server; the films are drawn by a fake."""

from __future__ import annotations

from pathlib import Path

import pytest

from misora.server.accounts import keys
from misora.server.queue import jobs
from tests.server.shop import Shop, new_key
from tests.server.test_content import ask, finished
from tests.studio.conftest import Visitor

pytestmark = pytest.mark.browser


def test_a_key_is_made_shown_once_suspended_and_revoked(shop: Shop, admin: str, visitor: Visitor) -> None:
    page = visitor.signed_in(admin, "/admin/keys")
    page.fill("label:text-is('Name') + input", "<b>partner</b>")
    page.fill("label:text-is('Group') + input", "spring")
    page.click(".panel footer .button")
    secret = page.inner_text("pre.key-secret").strip()
    assert keys.check(shop.store, secret) is not None
    page.click("dialog footer .button.main")
    row = page.locator("tr:has-text('<b>partner</b>')")
    row.locator("text=Suspend").click()
    page.wait_for_selector(".toast:has-text('Suspended')")
    assert keys.check(shop.store, secret) is None
    row.locator("text=Resume").click()
    page.wait_for_selector(".toast:has-text('works again')")
    assert keys.check(shop.store, secret) is not None and secret not in page.content()
    page.click("text=Revoke spring")
    page.click("dialog footer .button.danger")
    page.wait_for_selector("tr.revoked:has-text('<b>partner</b>')")
    assert keys.check(shop.store, secret) is None


def test_review_by_key_with_a_reason(shop: Shop, admin: str, visitor: Visitor) -> None:
    author = new_key(shop.store, "author", plan="reviewed").secret
    first, second = finished(shop, author), finished(shop, author)
    page = visitor.signed_in(admin, "/admin/review")
    page.wait_for_selector(".count:has-text('2 videos')")
    page.fill("input[aria-label^=Reason]", "too loud")
    page.click("text=Refuse")
    page.wait_for_selector(".count:has-text('1 video')")
    page.keyboard.press("a")
    page.wait_for_selector(".empty")
    states = [(jobs.get(shop.store, name) or pytest.fail(name)).review for name in (first, second)]
    assert states == ["refused", "approved"]
    page.click(".tabs a:has-text('Audit')")
    page.wait_for_selector("td:has-text('reason: too loud')")


def test_policy_usage_and_workers_are_told(shop: Shop, admin: str, visitor: Visitor) -> None:
    shop.worker.device = "two pencils"
    finished(shop)
    page = visitor.signed_in(admin, "/admin/policy")
    page.fill("textarea", "a red ball")
    page.click(".panel footer .button")
    page.wait_for_selector(".verdict:has-text('Allowed')")
    page.wait_for_selector(".facts dd:has-text(' ms')")
    page.click(".tabs a:has-text('Usage')")
    page.wait_for_selector("td:has-text('tester')")
    page.click(".tabs a:has-text('Workers')")
    page.wait_for_selector("tr:has(code:text-is('w')):has-text('two pencils')")


def test_an_account_gets_another_plan_another_key_and_is_suspended(shop: Shop, admin: str, visitor: Visitor) -> None:
    key = new_key(shop.store, "studio four")
    page = visitor.signed_in(admin, "/admin/accounts")
    row = page.locator("tr:has-text('studio four')")
    row.locator("select").select_option("small")
    page.wait_for_selector(".toast:has-text('Changed')")
    row.locator("text=0 of 20 s").wait_for()
    caller = keys.check(shop.store, key.secret)
    assert caller is not None and caller.plan == "small"
    row.locator("text=Another key").click()
    second = page.inner_text("pre.key-secret").strip()
    page.click("dialog footer .button.main")
    other = keys.check(shop.store, second)
    assert other is not None and other.account_id == key.account_id
    row.locator("text=Suspend").click()
    row.locator("text=Resume").wait_for()
    assert keys.check(shop.store, key.secret) is None and keys.check(shop.store, second) is None
    page.wait_for_selector(".table[aria-label='Plans of this server'] tr:has-text('small'):has-text('20')")


def test_somebody_without_the_scope_sees_no_admin(shop: Shop, visitor: Visitor) -> None:
    page = visitor.signed_in(shop.key.secret, "/admin/keys")
    page.wait_for_selector("text=Your key may not open this page")
    assert page.locator("nav.menu a[href='/admin']").count() == 0


def test_any_file_is_verified_without_a_key(shop: Shop, visitor: Visitor, tmp_path: Path) -> None:
    name = finished(shop)
    path = tmp_path / 'it\'s "mine" <b>.mp4'
    path.write_bytes(ask(shop, "GET", f"/v1/videos/{name}/content")[2])
    page = visitor.page()
    page.goto(f"{shop.url}/verify")
    page.set_input_files("input[type=file]", path)
    page.wait_for_selector(".verdict.unsigned")
    assert page.inner_text(".drop-shown .name") == path.name
