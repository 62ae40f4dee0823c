"""What a request carries, as one dictionary: JSON, multipart with ``a[b]`` and ``c[][id]``, or a plain form; it knows no field by name."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from misora.server.api.errors import ApiError, invalid

TEXT_BYTES = 32_000_000  # of JSON or of all form fields together: a data URL may have 20,971,520 characters
PLAIN_BYTES = 1_000_000  # of a form that was not sent as multipart: each percent sign costs the reader forty times its size
VALUES = 200_000  # of JSON: each costs its reader seventy bytes, however short it is
SMALL = 20_000  # of what anybody may send without a key
FILES, FIELDS, DEPTH = 16, 200, 5
MULTIPART = "multipart/form-data"
STEP = re.compile(r"\[([^\[\]]*)\]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Body:
    """``fields`` is the object that was sent; in a form every leaf is text or an UploadFile, and ``form`` says so."""

    fields: dict[str, Any]
    form: bool


async def read(request: Request, *, small: bool = False, empty: bool = False) -> Body:
    """The body of a request, ``small`` where a stranger may send it and it holds no file, or ``empty``. Raises ApiError."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind in (MULTIPART, "application/x-www-form-urlencoded"):
        return Body(fields=nested(await _form(request, small, multipart=kind == MULTIPART)), form=True)
    if kind not in ("application/json", "", "text/json") and not kind.endswith("+json"):
        raise ApiError(415, "Send the request as multipart/form-data or application/json.", code="unsupported_media_type")
    return Body(fields=await _json(request, SMALL if small else TEXT_BYTES, empty), form=False)


class _Fields(MultiPartParser):
    """Starlette's parser, which keeps files on the disk beyond their first megabyte and fields in memory: here these have one limit."""

    fields = 0  # bytes so far

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            self.fields += end - start
            if self.fields > self.max_part_size:
                raise _too_large(self.max_part_size)
        super().on_part_data(data, start, end)


async def close(request: Request) -> None:
    """Let go of what came with a request: the temporary files of its form."""
    if (form := getattr(request.state, "form", None)) is not None:
        await form.close()


async def _form(request: Request, small: bool, *, multipart: bool) -> list[tuple[str, Any]]:
    most = SMALL if small else TEXT_BYTES if multipart else PLAIN_BYTES
    try:
        form = await _parsed(request, most, 0 if small else FILES, multipart=multipart)
    except MultiPartException as error:
        raise ApiError(400, f"The form cannot be read: {error.message}", code="invalid_body") from None
    except (ValueError, KeyError, UnicodeError):
        raise ApiError(400, "The form cannot be read; check its boundary and its encoding.", code="invalid_body") from None
    except ClientDisconnect:
        raise ApiError(400, "The request ended early.", code="invalid_body") from None
    except Exception as error:  # the parser's own errors, and Starlette's wrapping of them
        if type(error).__module__.startswith(("python_multipart", "multipart", "starlette")):
            raise ApiError(400, "The form cannot be read; check its boundary and its encoding.", code="invalid_body") from None
        raise
    request.state.form = form
    return form.multi_items()


async def _parsed(request: Request, most: int, files: int, *, multipart: bool) -> FormData:
    if multipart:
        return await _Fields(request.headers, request.stream(), max_files=files, max_fields=FIELDS, max_part_size=most).parse()
    return await FormParser(request.headers, _limited(request, most), max_fields=FIELDS, max_part_size=most).parse()


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises ApiError where it is longer than ``most`` bytes."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise _too_large(most)
        yield piece


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"The request has more than {most:,} bytes; send files as files, in {MULTIPART}.", code="too_large")


async def _json(request: Request, most: int, empty: bool) -> dict[str, Any]:
    data = bytearray()
    async for piece in _limited(request, most):
        data += piece
    if empty and not data:
        return {}
    if sum(map(data.count, (b",", b"[", b"{"))) > VALUES:
        raise ApiError(413, f"The request has more than {VALUES:,} values.", code="too_large")
    try:
        fields = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ApiError(400, "The body of the request is not valid JSON.", code="invalid_json") from None
    if not isinstance(fields, dict):
        raise ApiError(400, "The body of the request must be a JSON object.", code="invalid_json")
    return fields


def _no_constant(name: str) -> None:
    raise ValueError(name)


def nested(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Form fields as the object they mean: ``a[b]`` is an object, ``a[]`` a list, ``c[][id]`` a list of objects. Raises ApiError.

    A field that the last object of a list already has begins the next one.
    """
    root: dict[str, Any] = {}
    for name, value in _object_by_object(list(items)):
        head, bracket, _ = name.partition("[")
        steps = STEP.findall(name)
        if not head or (bracket and head + "".join(f"[{step}]" for step in steps) != name) or len(steps) > DEPTH:
            raise invalid(name[:100], f"The field name '{name[:100]}' cannot be read.")
        _put(root, [head, *steps], value, name)
    return root


def _object_by_object(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The fields with a list's objects one after the other: the SDK sends the first field of all of them, then the second of all."""
    lists: dict[str, dict[str, list[Any]]] = {}  # list -> field -> values
    runs: dict[str, list[str]] = {}  # list -> its fields as they came, repetitions left out
    for name, value in items:
        head, within, field = name.partition("[]")
        if within and field:
            lists.setdefault(head, {}).setdefault(field, []).append(value)
            run = runs.setdefault(head, [])
            run += [] if run[-1:] == [field] else [field]
    for head, fields in lists.items():
        rows = max(map(len, fields.values()))
        if rows == 1 or len(fields) == 1 or len(runs[head]) > len(fields):
            continue  # one object, or one after the other already
        if any(len(values) < rows for values in fields.values()):
            raise invalid(head, f"A form cannot say which '{head}' lacks a field; give all of them the same fields, or send JSON.")
        first = next(i for i, (name, _) in enumerate(items) if name.startswith(f"{head}[]"))
        told = [(f"{head}[]{field}", values[row]) for row in range(rows) for field, values in fields.items()]
        others = [[pair for pair in part if not pair[0].startswith(f"{head}[]")] for part in (items[:first], items[first:])]
        items = [*others[0], *told, *others[1]]
    return items


def _put(place: dict[str, Any], steps: list[str], value: Any, name: str) -> None:
    here, rest = steps[0], steps[1:]
    if not rest:
        if here in place:
            raise invalid(name[:100], f"The field '{name[:100]}' was sent more than once.")
        place[here] = value
    elif rest[0] in ("", *map(str, range(64))):
        items = place.setdefault(here, [])
        if not isinstance(items, list):
            raise invalid(name[:100], f"The field '{name[:100]}' was sent in two shapes.")
        _append(items, rest, value, name)
    else:
        inner = place.setdefault(here, {})
        if not isinstance(inner, dict):
            raise invalid(name[:100], f"The field '{name[:100]}' was sent in two shapes.")
        _put(inner, rest, value, name)


def _append(items: list[Any], steps: list[str], value: Any, name: str) -> None:
    numbered, rest = steps[0] != "", steps[1:]
    if not rest:
        items.append(value)
        return
    begin = not items or not isinstance(items[-1], dict) or (int(steps[0]) >= len(items) if numbered else rest[0] in items[-1])
    if begin:
        items.append({})
    _put(items[-1], rest, value, name)


def files(value: Any) -> list[UploadFile]:
    """The uploaded files that a field holds, one or several."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, UploadFile)]
