"""A browser and a server for the studio's tests; every page is watched for errors and for requests to anybody else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from misora.server.accounts.plans import Plan, Plans
from tests.server.shop import Shop, new_key
from tests.studio.film import Film

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PLANS = Plans({"reviewed": Plan(review=True), "small": Plan(seconds_per_month=20)})
LOCALES = {"en": "en-US", "ja": "ja-JP"}
SLOW = 60_000  # milliseconds that a busy machine may take for a step


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "these tests need a Chromium: apt install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One server for the tests of a file, whose films are drawn at once."""
    with Shop(tmp_path_factory.mktemp("shop"), plans=PLANS) as made:
        made.render = Film(made.files)
        yield made


@pytest.fixture(scope="module")
def admin(shop: Shop) -> str:
    """An operator's secret."""
    return new_key(shop.store, "operator", scopes="generate publish admin").secret


class Visitor:
    """Somebody with a browser: opens pages, signs in, and notes what should not happen."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.contexts: list[Any] = []
        self.faults: list[str] = []
        self.forgiven: tuple[str, ...] = ()

    def page(self, **given: Any) -> Page:
        """A fresh browser window, signed in by nobody."""
        language = given.pop("language", "en")
        context = self.browser.new_context(
            locale=LOCALES[language], reduced_motion="reduce", **({"viewport": {"width": 1280, "height": 800}} | given)
        )
        context.set_default_timeout(SLOW)
        self.contexts.append(context)
        page = context.new_page()
        self.watch(page)
        return page

    def watch(self, page: Page) -> None:
        """Note errors in the console, failed scripts, and requests to others."""
        page.on("console", lambda message: self._noted(message))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on(
            "request", lambda request: None if request.url.startswith((self.url, "blob:", "data:")) else self.faults.append(request.url)
        )

    def _noted(self, message: Any) -> None:
        late = "404" in message.text and "/preview?" in message.location["url"]  # a preview that the finished film replaced meanwhile
        if message.type in ("error", "warning") and not late:
            self.faults.append(f"{message.text} {message.location['url']}")

    def signed_in(self, secret: str, address: str = "/", **given: Any) -> Page:
        """A window of somebody with that key, at an address; the sign-in page has tests of its own."""
        page = self.page(**given)
        answer = page.context.request.post(f"{self.url}/v1/misora/session", data={"key": secret})
        assert answer.ok, answer.text()
        page.goto(self.url + address)
        page.wait_for_selector("html[data-ready] main > *")
        return page

    def close(self) -> None:
        """End, and say what should not have happened."""
        for context in self.contexts:
            context.close()
        left = [fault for fault in self.faults if not any(word in fault for word in self.forgiven)]
        assert not left, left


@pytest.fixture
def visitor(browser: Browser, shop: Shop) -> Iterator[Visitor]:
    """Somebody with a browser."""
    made = Visitor(browser, shop.url)
    yield made
    made.close()


@pytest.fixture
def film(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Film]:
    """Replace the server's renderer for one test."""

    def use(**given: Any) -> Film:
        made = Film(shop.files, **given)
        monkeypatch.setattr(shop, "render", made)
        return made

    return use
