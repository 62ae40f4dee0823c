"""Pictures of every page of the studio, in both languages and themes: `python -m docs.screens`; it knows nothing of how pages are built.

It starts a server of its own with the embedded weights, has it make a few films, and walks through the pages in Debian's Chromium. With
``--url`` and ``--key-file`` it looks at a server that runs already, and makes nothing. With ``--readme`` the pictures of the README are
written anew, those of them that were taken. Most of its minutes go into the films; what it does is told as it goes, and what
takes too long ends it with a sentence. For a quick look at one page:
``--only make-en-light --films 1 --steps 1``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as TooSlow

from misora.media.read import read_image
from misora.media.write import write_image

OUT = Path(__file__).parent / "screens"
PROMPTS = (
    "a red ball bounces on a wooden floor",
    "a blue cube slides to the left on grass at sunset",
    "a green cone stands on a tiled floor",
    "two yellow balls roll to the right on sand",
    "a purple cylinder falls on snow",
    "赤い立方体が芝生の上で回る",
)
PAGES = {  # what is shown where; {id} is the first finished film
    "make": "/",
    "library": "/library",
    "watch": "/watch/{id}",
    **{f"edit-{verb}": f"/edit/{{id}}?verb={verb}" for verb in ("remix", "recut", "extend", "blend", "loop", "inpaint")},
    "storyboard": "/storyboard",
    "characters": "/characters",
    "feed": "/feed",
    "verify": "/verify",
    **{f"admin-{tab}": f"/admin/{tab}" for tab in ("keys", "accounts", "usage", "review", "policy", "workers", "audit")},
}
SIZES: dict[str, dict[str, Any]] = {
    "": {"viewport": {"width": 1360, "height": 860}},
    "-phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
PLANS = """[guest]
seconds_per_month = 120
concurrency = 1
retention_hours = 72
review = true

[partner]
seconds_per_month = 3600
priority = 1
"""
PHONE = ("signin", "make", "library", "watch", "storyboard")
README = {"studio-make": "make-en-light", "studio-library": "library-en-light", "studio-board": "storyboard-ja-dark"}
LOCALES = {"en": "en-US", "ja": "ja-JP"}
BEGUN = time.perf_counter()
PATIENCE, FILM_PATIENCE = 60, 900  # seconds that a page, and a film, may take on a busy machine


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m docs.screens", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for the pictures")
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--key-file", type=Path, help="a file with an admin key of that server")
    parser.add_argument("--only", default="", help="a regular expression that the pictures' names must match")
    parser.add_argument("--readme", action="store_true", help="also write the pictures of the README")
    parser.add_argument("--films", type=int, default=len(PROMPTS) + 2, help="how many films are made, fewer for a quick look")
    parser.add_argument("--steps", type=int, help="steps of the films, fewer for a quick look")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url, key = (args.url, args.key_file.read_text("utf-8").strip()) if args.url else stack.enter_context(served())[:2]
        if not args.url:
            furnish(url, key, args.films, args.steps)
        taken = shoot(url, key, args.out, args.only)
    for name, shown in README.items():
        if args.readme and shown in taken:
            say(f"README: docs/{name}.webp")
            write_image(Path(__file__).parent / f"{name}.webp", read_image(args.out / f"{shown}.png"))


def say(text: str) -> None:
    """What is being done, with the seconds since the beginning."""
    print(f"{time.perf_counter() - BEGUN:6.1f} s  {text}", flush=True)


def chromium() -> str:
    """Where the system's Chromium is."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("There is no Chromium here; install Debian's: apt install chromium.")
    return found


@contextlib.contextmanager
def served() -> Iterator[tuple[str, str, Path]]:
    """A server of our own in an empty folder: its address, its first key, and the folder."""
    with tempfile.TemporaryDirectory(prefix="misora-screens-") as folder:
        plans = Path(folder) / "plans.toml"
        plans.write_text(PLANS, "utf-8")
        command = [sys.executable, "-m", "misora", "serve", "--port", "0", "--data", folder, "--plans", str(plans)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            told = next((line for line in process.stdout if "ready at" in line), "")
            if not told:
                raise SystemExit("The server ended before it was ready; `misora serve` by itself says why.")
            try:
                yield told.split()[-1], (Path(folder) / "admin.key").read_text("utf-8").strip(), Path(folder)
            finally:
                process.terminate()
                process.wait(60)


def ask(url: str, key: str, method: str, path: str, body: object = None) -> Any:
    """One request and its JSON."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers, method=method), timeout=60) as answer:
        return json.load(answer)


def furnish(url: str, key: str, films: int, steps: int | None) -> None:
    """A few films, some published, one a favourite and a character, one remixed, one of a guest's that waits for review."""
    how: dict[str, Any] = {"steps": steps} if steps else {}
    size = {"seed": 7, "size": "704x384", "seconds": "4"} | how
    made = [film(url, key, "/v1/videos", {"prompt": prompt} | size) for prompt in PROMPTS[:films]]
    for name in made[:4]:
        ask(url, key, "POST", f"/v1/misora/videos/{name}/publish", {})
    for name in made[1:3]:
        ask(url, key, "POST", f"/v1/misora/feed/{name}/feature", {"featured": True})
    for name in made[1:2]:
        ask(url, key, "POST", f"/v1/misora/videos/{name}/favourite", {"favourite": True})
    for name in made[2:3]:
        ask(url, key, "POST", "/v1/videos/characters", {"name": "Sora", "video": {"id": name}})
    guest = ask(url, key, "POST", "/v1/misora/keys", {"name": "guest", "plan": "guest", "group": "spring"})["key"]
    if films > len(PROMPTS):
        film(url, key, f"/v1/videos/{made[0]}/remix", {"prompt": "a red ball bounces on snow at night"} | how)
    if films > len(PROMPTS) + 1:
        film(url, guest, "/v1/videos", {"prompt": "an orange ball falls on a tiled floor"} | size)


def film(url: str, key: str, path: str, wish: dict[str, Any]) -> str:
    """Have a film made and wait for it; its id."""
    say(f"film: {wish['prompt']}")
    return finished(url, key, ask(url, key, "POST", path, wish))


def finished(url: str, key: str, job: dict[str, Any]) -> str:
    """The id of a video, once it is finished."""
    end = time.monotonic() + FILM_PATIENCE
    while job["status"] not in ("completed", "failed"):
        if time.monotonic() > end:
            raise SystemExit(f"The film {job['prompt']!r} was not finished within {FILM_PATIENCE} s: {job['status']}, {job['progress']} %.")
        time.sleep(0.5)
        job = ask(url, key, "GET", f"/v1/videos/{job['id']}")
    if job["status"] == "failed":
        raise SystemExit(f"The film {job['prompt']!r} failed: {job['error']['message']}")
    return str(job["id"])


def shoot(url: str, key: str, out: Path, only: str = "") -> list[str]:
    """Every page, in both languages and themes, and some on a phone's screen; the names of the pictures."""
    found = ask(url, key, "GET", "/v1/misora/videos?status=completed&limit=100")["data"]
    first = next((video["id"] for video in reversed(found)), "")
    out.mkdir(parents=True, exist_ok=True)
    taken: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--force-color-profile=srgb"])
        for language in LOCALES:
            for theme in ("light", "dark"):
                for size in SIZES:
                    taken += _walk(browser, url, key, first, out, (language, theme, size), only)
        browser.close()
    return taken


def _walk(browser: Browser, url: str, key: str, first: str, out: Path, way: tuple[str, str, str], only: str) -> list[str]:
    language, theme, size = way
    names = [name for name in ("signin", *PAGES) if not size or name in PHONE]
    wanted = {name: out / f"{name}-{language}-{theme}{size}.png" for name in names}
    wanted = {name: path for name, path in wanted.items() if re.search(only, path.stem)}
    if not wanted:
        return []
    context = browser.new_context(**SIZES[size], locale=LOCALES[language], color_scheme=theme, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    with in_time(f"the way in, {language} {theme}{size}"):
        page.goto(url)
        page.wait_for_selector("#key")
        if "signin" in wanted:
            take(page, wanted["signin"])
        sign_in(page, key)
    for name, path in wanted.items():
        if name != "signin":
            with in_time(f"{path.stem}, {PAGES[name]}"):
                page.goto(url + PAGES[name].format(id=first))
                take(page, path)
    context.close()
    return [path.stem for path in wanted.values()]


def take(page: Page, path: Path) -> None:
    """The picture of a page, once it is drawn."""
    say(path.name)
    settle(page)
    page.screenshot(path=path)


@contextlib.contextmanager
def in_time(name: str) -> Iterator[None]:
    """Say which page it was that took too long, and what it was waited for."""
    try:
        yield
    except TooSlow as error:
        last = error.message.strip().splitlines()
        raise SystemExit(f"This page was not drawn within {PATIENCE} s: {name} ({last[0]} {last[-1].strip()})") from None


def sign_in(page: Page, key: str) -> None:
    """Through the door, as a person does it."""
    page.fill("#key", key)
    page.press("#key", "Enter")
    page.wait_for_selector(".signout")


def settle(page: Page) -> None:
    """Until the page is drawn and its pictures are there."""
    page.wait_for_selector("html[data-ready] main > *")
    page.wait_for_timeout(400)
    page.wait_for_function("() => [...document.images].every((each) => each.complete || each.getBoundingClientRect().top > innerHeight)")
    page.wait_for_function("() => [...document.querySelectorAll('video[controls], .stage > video')].every((each) => each.readyState >= 2)")


if __name__ == "__main__":
    main()
