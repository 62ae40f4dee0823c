"""What the studio costs a browser: bytes and time of the first load, frame times and memory in a library of 1 000 clips, a revoked key.

``python -m bench.studio`` starts ``misora serve`` in a fresh folder, has it make one small film, puts it into the table a thousand times,
and looks with Debian's Chromium. It knows the studio only from outside.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from docs.screens import ask, chromium, finished, served, sign_in

FRAMES = """async (clips) => { // the milliseconds of each frame while the library is scrolled from its first clip to its last and back
  const wait = () => new Promise(requestAnimationFrame), bar = document.documentElement, times = [];
  let last = await wait(), still = 0, most = 0;
  for (const down of [1, -1]) for (still = 0; still < 30;) {
    scrollBy(0, down * 150);
    const now = await wait();
    times.push(now - last);
    last = now;
    most = Math.max(most, document.querySelectorAll(".vgrid .clip").length);
    still = (down > 0 ? scrollY + innerHeight >= bar.scrollHeight - 2 : scrollY === 0) ? still + 1 : 0;
  }
  return { times, most };
}"""


def main() -> None:
    """Run and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.studio", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--loads", type=int, default=5)
    args = parser.parse_args()
    with served() as (url, key, folder), sync_playwright() as playwright:
        job = ask(url, key, "POST", "/v1/videos", {"prompt": "a red ball bounces", "size": "704x384", "seconds": "4", "steps": 1})
        copy(folder, finished(url, key, job), args.clips - 1)
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        found = {"first_load": first_load(browser, url, args.loads)} | library(browser, url, key)
        found["revoked_ms"] = revoked(browser, url, key)
        browser.close()
    print(json.dumps(found))


def copy(folder: Path, name: str, count: int) -> None:
    """Put a finished video into the table ``count`` times more."""
    from sqlalchemy import insert, select

    from misora.server.store.database import Store
    from misora.server.store.tables import videos

    store = Store(folder / "misora.sqlite")
    with store.write() as db:
        row = dict(db.execute(select(videos).where(videos.c.id == name)).mappings().one())
        del row["seq"]
        db.execute(insert(videos), [row | {"id": f"video_{place:032x}", "prompt": f"clip number {place}"} for place in range(count)])
    store.close()


def first_load(browser: Browser, url: str, loads: int) -> dict[str, float]:
    """Bytes and requests over the wire with an empty cache, and the milliseconds until the page answers: the middle of some loads."""
    times, sizes, counts = [], [], []
    for _ in range(loads):
        context = browser.new_context()
        page = context.new_page()
        got: list[dict[str, int]] = []
        page.on("requestfinished", lambda request, got=got: got.append(request.sizes()))
        page.goto(url)
        page.wait_for_selector("html[data-ready] main > *")
        times.append(page.evaluate("() => performance.getEntriesByName('ready')[0].startTime"))
        sizes.append(sum(each["responseBodySize"] + each["responseHeadersSize"] for each in got))
        counts.append(len(got))
        context.close()
    return {
        "kB": round(max(sizes) / 1000, 1),
        "requests": max(counts),
        "ready_ms": round(statistics.median(times)),
        "ready_ms_best": round(min(times)),
    }


def library(browser: Browser, url: str, key: str) -> dict[str, Any]:
    """Frame times and memory of the library."""
    page = browser.new_context(viewport={"width": 1360, "height": 860}).new_page()
    page.goto(url)
    sign_in(page, key)
    page.goto(f"{url}/library")
    page.wait_for_selector(".vgrid .clip img")
    before = memory(page)
    rounds = [page.evaluate(FRAMES) for _ in range(3)]  # the first one fetches, the others are told
    after = memory(page)
    times = sorted(each for one in rounds[1:] for each in one["times"])
    page.context.close()
    return {
        "frames": len(times),
        "frame_ms": {
            "p50": round(statistics.median(times), 1),
            "p95": round(times[len(times) * 95 // 100], 1),
            "worst": round(times[-1], 1),
        },
        "late_share": round(sum(each > 25 for each in times) / len(times), 4),
        "clips_in_page": max(one["most"] for one in rounds),
        "heap_MB": [before["heap"], after["heap"]],
        "nodes": [before["nodes"], after["nodes"]],
    }


def memory(page: Page) -> dict[str, float]:
    """Megabytes of the heap and nodes, once the garbage is gone."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    told = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return {"heap": round(told["JSHeapUsedSize"] / 1e6, 2), "nodes": told["Nodes"]}


def revoked(browser: Browser, url: str, key: str) -> int:
    """Milliseconds from revoking a key to the words on its open page."""
    made = ask(url, key, "POST", "/v1/misora/keys", {"name": "brief"})
    page = browser.new_context().new_page()
    page.goto(url)
    sign_in(page, made["key"])
    time.sleep(1)
    begun = time.perf_counter()
    ask(url, key, "POST", "/v1/misora/keys/end", {"action": "revoke", "key_id": made["id"]})
    page.wait_for_selector(".toast.error")
    taken = time.perf_counter() - begun
    page.context.close()
    return round(taken * 1000)


if __name__ == "__main__":
    main()
