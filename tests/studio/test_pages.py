"""The studio's files as they travel: in the package, small, under a strict policy, every word in both languages; no browser needed."""

from __future__ import annotations

import gzip
import http.client
import re
from pathlib import Path

import pytest

from misora.server.api import pages
from tests.server.shop import Shop

LINES, FIRST_LOAD = 300, 150_000
USED = re.compile(r'\bt\("([\w.\- ]+)"')


def get(shop: Shop, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request without a key."""
    connection = http.client.HTTPConnection(shop.url.removeprefix("http://"), timeout=20)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def names(language: str) -> list[str]:
    """The names of one language's words."""
    text = (pages.ROOM / f"words/{language}.js").read_text("utf-8")
    return re.findall(r'(?:^\s+|, )"([\w.\- ]+)": ', text, re.MULTILINE)


@pytest.mark.parametrize("path", sorted(pages.ROOM.rglob("*.*")), ids=lambda path: path.name)
def test_files_are_short_and_name_nobody_else(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    assert not set(re.findall(r"https?://[\w.]+", text)) - {"http://www.w3.org"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    if path.suffix == ".js":
        assert text.startswith("// ") and text.splitlines()[0].endswith((".", ";"))


def test_everything_together_is_smaller_than_one_first_load_may_be() -> None:
    assert sum(len(page.packed) for page in pages.files().values()) <= FIRST_LOAD


@pytest.mark.parametrize("path", ["/", "/library", "/watch/video_x", "/admin/keys", "/studio/app.js", "/studio/style/sky.css"])
def test_pages_come_packed_under_a_strict_policy(shop: Shop, path: str) -> None:
    code, headers, body = get(shop, path, accept_encoding="gzip")
    assert code == 200 and headers["content-encoding"] == "gzip" and gzip.decompress(body) == get(shop, path)[2]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy and "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert get(shop, path, if_none_match=headers["etag"])[0] == 304


@pytest.mark.parametrize("path", ["/studio/none.js", "/studio/../secret.py", "/studio/%2e%2e/api/auth.py", "/nothing"])
def test_nothing_else_is_there(shop: Shop, path: str) -> None:
    assert get(shop, path)[0] == 404


def test_both_languages_have_every_word() -> None:
    english, japanese = names("en"), names("ja")
    assert len(english) == len(set(english)) > 300 and len(japanese) == len(set(japanese))
    assert not set(english) - set(japanese)
    assert all(name.startswith("error.") for name in set(japanese) - set(english))  # in English the server's own sentence stands
    used = {name for path in pages.ROOM.rglob("*.js") for name in USED.findall(path.read_text("utf-8"))}
    assert len(used) > 200 and not used - set(english)


def test_japanese_words_are_japanese() -> None:
    text = (pages.ROOM / "words/ja.js").read_text("utf-8")
    for name, words in re.findall(r'"([\w.\- ]+)": "([^"]*)"', text):
        told = re.sub(r"\{\w+\}|✓", "", words)
        assert re.search(r"[\u3040-\u30ff\u3400-\u9fff]", told) or not re.search("[A-Za-z]{3}", told), name


def test_every_module_that_is_named_is_there() -> None:
    for path in pages.ROOM.rglob("*.js"):
        for named in re.findall(r'(?:from|import\()\s*"(\.[^"]+)"', path.read_text("utf-8")):
            assert (path.parent / named).resolve().is_file(), f"{path.name}: {named}"
