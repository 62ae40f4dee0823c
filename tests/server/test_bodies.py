"""Laws of form fields as objects and of a body's memory: what the SDK writes is read back, what would fill memory is refused; no route."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from starlette.requests import Request
from starlette.types import Message

from misora.server.api import bodies
from misora.server.api.bodies import nested
from misora.server.api.errors import ApiError

MB = 1_000_000


@pytest.mark.parametrize(
    "sent, meant",
    [
        ([("prompt", "x"), ("seconds", "4")], {"prompt": "x", "seconds": "4"}),
        ([("a[b]", "1"), ("c[][id]", "x"), ("c[][id]", "y")], {"a": {"b": "1"}, "c": [{"id": "x"}, {"id": "y"}]}),
        ([("c[0][id]", "x"), ("c[0][name]", "n"), ("c[1][id]", "y")], {"c": [{"id": "x", "name": "n"}, {"id": "y"}]}),
        ([("files[]", "1"), ("files[]", "2")], {"files": ["1", "2"]}),
        ([("c[][id]", "x"), ("c[][n]", "1"), ("c[][id]", "y")], {"c": [{"id": "x", "n": "1"}, {"id": "y"}]}),
        ([("c[][id]", "x"), ("c[][id]", "y"), ("c[][n]", "1"), ("c[][n]", "2")], {"c": [{"id": "x", "n": "1"}, {"id": "y", "n": "2"}]}),
        ([("c[][id]", "x"), ("c[][id]", "y"), ("c[][n]", "1")], None),  # which of them is 1?
        ([("a[b][c]", "1"), ("a[b][d]", "2")], {"a": {"b": {"c": "1", "d": "2"}}}),
        ([("", "x")], None),
        ([("a[", "x")], None),
        ([("a]b[", "x")], None),
        ([("a", "1"), ("a", "2")], None),
        ([("a", "1"), ("a[b]", "2")], None),
        ([("a[b]", "1"), ("a", "2")], None),
        ([("a[]", "1"), ("a[b]", "2")], None),
        ([("a" + "[b]" * 9, "1")], None),
    ],
)
def test_names_with_brackets_mean_objects(sent: list[tuple[str, str]], meant: dict[str, object] | None) -> None:
    if meant is not None:
        assert nested(sent) == meant
    else:
        with pytest.raises(ApiError) as caught:
            nested(sent)
        assert caught.value.status == 400 and caught.value.body["error"]["param"] is not None


def test_what_the_sdk_writes_of_a_list_of_objects_is_read_back() -> None:
    from openai._qs import Querystring

    told = {"prompt": "x", "storyboard": [{"prompt": str(i), "seconds": str(i), "at": {"x": str(-i)}} for i in range(4)], "seed": "1"}
    once: dict[str, list[str]] = {}
    for name, value in Querystring(array_format="brackets").stringify_items(told):
        once.setdefault(name, []).append(value)
    assert nested((name, value) for name, values in once.items() for value in values) == told


def test_no_field_name_is_more_than_a_refusal() -> None:
    chance = random.Random(0)
    for _ in range(3000):
        names = ["".join(chance.choices("ab[]0", k=chance.randrange(8))) for _ in range(chance.randrange(4))]
        with contextlib.suppress(ApiError):
            assert isinstance(nested((name, "x") for name in names), dict)


def multipart(parts: int, size: int, *, files: bool = False) -> Iterator[bytes]:
    """A form of so many parts, piece by piece."""
    for number in range(parts):
        yield f'--b\r\nContent-Disposition: form-data; name="f{number}"{"; filename=x" * files}\r\n\r\n'.encode()
        yield from itertools.repeat(b"x" * 50_000, size // 50_000)
        yield b"\r\n"
    yield b"--b--\r\n"


def json_of(piece: bytes, last: bytes, times: int) -> Iterator[bytes]:
    """A JSON list."""
    return itertools.chain([b'{"a":['], itertools.repeat(piece * 10_000, times), [last, b"]}"])


def read(pieces: Iterable[bytes], kind: str, *, small: bool = False) -> tuple[int, int]:
    """The status of the refusal, or 200, and the most memory that the reader took."""
    coming, kinds = iter(pieces), {"form": "multipart/form-data; boundary=b", "plain": "application/x-www-form-urlencoded"}

    async def receive() -> Message:
        piece = next(coming, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def ask() -> int:
        head = [(b"content-type", kinds.get(kind, "application/json").encode())]
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": head}, receive)
        try:
            await bodies.read(request, small=small)
        except ApiError as error:
            return error.status
        finally:
            await bodies.close(request)
        return 200

    tracemalloc.start()
    try:
        return asyncio.run(ask()), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "pieces, kind, status",
    [
        (lambda: multipart(8, 29 * MB), "form", 413),  # each of them would be taken alone
        (lambda: multipart(1, 21 * MB), "form", 200),  # the longest data URL
        (lambda: itertools.repeat(b"%41" * 10_000, 1000), "plain", 413),
        (lambda: json_of(b"{},", b"{}", 1000), "json", 413),
        (lambda: json_of(b"1,", b"1", 1500), "json", 413),
        (lambda: itertools.chain([b'{"a":"'], itertools.repeat(b"x" * 50_000, 420), [b'"}']), "json", 200),
    ],
)
def test_no_body_takes_much_more_memory_than_the_longest_text(pieces: object, kind: str, status: int) -> None:
    found, peak = read(pieces(), kind)  # type: ignore[operator]
    assert found == status and peak < 3 * bodies.TEXT_BYTES


def test_files_lie_on_the_disk() -> None:
    status, peak = read(multipart(1, 12 * MB, files=True), "form")
    assert status == 200 and peak < 4 * MB


def test_a_strangers_fields_are_few_together() -> None:
    assert read(multipart(1, 50_000), "form", small=True)[0] == read(iter([b"a=" + b"x" * 30_000]), "plain", small=True)[0] == 413
    assert read(iter([b"&".join(b"f%d=%b" % (number, b"x" * 5000) for number in range(9))]), "plain", small=True)[0] == 413
