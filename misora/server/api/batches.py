"""The Batch API: a file of orders, one a line, that become videos behind everybody else's; it knows nothing of rendering."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.client.errors import MisoraError
from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, files, lists, shape
from misora.server.api.errors import ApiError
from misora.server.api.fields import Field, check, plain_text, query_integer
from misora.server.api.services import Services
from misora.server.api.videos import CREATE, order_of, place_job
from misora.server.queue import batches, jobs
from misora.server.queue.job import COMPLETED, Job, new_id
from misora.server.queue.jobs import Once, RefusedOrderError
from misora.server.store.tables import batches as table

ENDPOINT, WINDOW = "/v1/videos", 24 * 3600
LINES, LINE_BYTES, FILE_BYTES = 10_000, 32_000_000, 200_000_000
AT_ONCE = 50  # lines that become jobs in one round
NEW = (
    Field(name="input_file_id", kind="text", says="A file of orders, one JSON object a line.", required=True, least=1, most=100),
    Field(name="endpoint", kind="choice", says="What the orders are for.", required=True, choices=(ENDPOINT,)),
    Field(name="completion_window", kind="choice", says="How long it may take.", required=True, choices=("24h",)),
    Field(name="metadata", kind="notes", says="Words of your own.", most=16),
    Field(name="output_expires_after", kind="object", says="When its files go by themselves.", inside=(files.ANCHOR, files.LASTING)),
)
TIMES = {"completed": "completed_at", "failed": "failed_at", "cancelled": "cancelled_at", "expired": "expired_at"}
log = logging.getLogger("misora.server")


async def create(services: Services, request: Request, caller: Caller) -> Response:
    """POST /batches."""
    given = check(await bodies.read(request), NEW)
    return JSONResponse(await run_in_threadpool(_create, services, caller, given))


def _create(services: Services, caller: Caller, given: dict[str, Any]) -> dict[str, Any]:
    services.files.check_room()
    file = files.find(services, given["input_file_id"], caller.account_id, "input_file_id", 400)
    lines, errors = read(services, file)
    now, failed = int(time.time()), bool(errors)
    row = {"id": new_id("batch"), "account_id": caller.account_id, "key_id": caller.key_id, "input_file": file["id"]}
    row |= {"notes": given.get("metadata") or {}, "status": "failed" if failed else batches.IN_PROGRESS, "created_at": now}
    row |= {"ended_at": now if failed else None, "errors": errors, "output_file": None, "error_file": None}
    row |= {"keep_seconds": given.get("output_expires_after", {}).get("seconds")}
    return shown(services, batches.add(services.store, row, [] if failed else lines))


def read(services: Services, file: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The orders of a file, and what is wrong with it."""
    lines: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    if file["purpose"] != "batch":
        return [], [_error("invalid_purpose", "Upload the file with the purpose 'batch'.", None)]
    names: set[str] = set()
    with files.opened(services, file["id"], "input_file_id") as source:
        for number, raw in enumerate(_lines(source), 1):
            try:
                lines.append(_line(raw, names))
            except ApiError as error:
                told = error.body["error"]
                errors.append(_error(told["code"], told["message"], number, told["param"]))
            if len(lines) > LINES or len(errors) >= 100:
                break
    if len(lines) > LINES:
        errors.append(_error("too_many_lines", f"A batch may have {LINES:,} lines.", None))
    if not lines and not errors:
        errors.append(_error("empty_file", "The file holds no order; write one JSON object a line.", None))
    return lines, errors


def _lines(source: Any) -> Iterator[bytes]:
    while raw := source.readline(LINE_BYTES):
        if raw.strip():
            yield raw


def _line(raw: bytes, names: set[str]) -> dict[str, Any]:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        raise ApiError(400, "This line is not parseable as valid JSON.", code="invalid_json_line") from None
    if not isinstance(line, dict) or not isinstance(line.get("body"), dict):
        raise ApiError(400, "A line must be an object with custom_id, method, url and body.", param="body", code="invalid_line")
    if line.get("method") != "POST" or line.get("url") != ENDPOINT:
        raise ApiError(400, f"The method must be POST and the url {ENDPOINT}.", param="url", code="invalid_url")
    name = plain_text(line.get("custom_id"), "custom_id", 1, 255)
    if name in names:
        raise ApiError(400, "Each line needs a custom_id of its own.", param="custom_id", code="invalid_custom_id")
    names.add(name)
    return {"custom_id": name, "body": line["body"], "video_id": None, "refusal": None}


def _error(code: str | None, message: str | None, line: int | None, param: str | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "line": line, "param": param}


def shown(services: Services, row: dict[str, Any]) -> dict[str, Any]:
    """The batch object of the contract."""
    told: dict[str, Any] = dict.fromkeys((*TIMES.values(), "cancelling_at", "finalizing_at"))
    told |= {"id": row["id"], "object": "batch", "endpoint": ENDPOINT, "completion_window": "24h", "input_file_id": row["input_file"]}
    told |= {"status": row["status"], "created_at": row["created_at"], "expires_at": row["created_at"] + WINDOW}
    told |= {"in_progress_at": None if row["errors"] else row["created_at"], "metadata": row["notes"] or None}
    told |= {"output_file_id": row["output_file"], "error_file_id": row["error_file"]}
    told |= {"errors": {"object": "list", "data": row["errors"]} if row["errors"] else None}
    if row["ended_at"] is not None:
        told[TIMES[row["status"]]] = row["ended_at"]
    return told | {"request_counts": batches.counts(services.store, row["id"])}


async def listing(services: Services, request: Request, caller: Caller) -> Response:
    """GET /batches."""
    limit = query_integer(request.query_params.get("limit"), "limit", 20, 1, 100)
    return JSONResponse(await run_in_threadpool(_page, services, caller, request.query_params, limit))


def _page(services: Services, caller: Caller, query: Mapping[str, str], limit: int) -> dict[str, Any]:
    rows = batches.listing(services.store, caller.account_id)
    page = shape.cut(lists.behind(services, table, caller, query, rows, "batch"), limit)
    return page | {"data": [shown(services, row) for row in page["data"]]}


def _owned(services: Services, batch_id: str, caller: Caller) -> dict[str, Any]:
    row = batches.get(services.store, batch_id, caller.account_id) if "\0" not in batch_id else None
    if row is None:
        raise ApiError(404, f"No batch found with id '{batch_id[:100]}'.", param="batch_id")
    return row


async def retrieve(services: Services, request: Request, caller: Caller) -> Response:
    """GET /batches/{id}."""
    row = await run_in_threadpool(_owned, services, request.path_params["batch_id"], caller)
    return JSONResponse(await run_in_threadpool(shown, services, row))


async def cancel(services: Services, request: Request, caller: Caller) -> Response:
    """POST /batches/{id}/cancel: what is done stays, what waits or runs stops."""
    return JSONResponse(await run_in_threadpool(_cancel, services, request.path_params["batch_id"], caller))


def _cancel(services: Services, batch_id: str, caller: Caller) -> dict[str, Any]:
    row = _owned(services, batch_id, caller)
    if row["status"] != batches.IN_PROGRESS:
        raise ApiError(400, f"Cannot cancel a batch with status '{row['status']}'.", param="batch_id")
    _stop(services, row, "cancelled", "batch_cancelled", "The batch was cancelled.")
    return shown(services, _owned(services, batch_id, caller))


def _stop(services: Services, row: dict[str, Any], status: str, code: str, message: str) -> None:
    """End a batch before all of it is done."""
    batches.refuse_rest(services.store, row["id"], _refusal(ApiError(400, message, code=code)))
    for line, job in batches.results(services.store, row["id"]):
        if job is not None and not job.finished:
            jobs.delete(services.store, job.id, job.account_id)
            services.files.erase(job.id)
            batches.settle(services.store, row["id"], line.number, refusal=_refusal(ApiError(400, message, code=code)))
    _finish(services, row, status)


def _refusal(error: ApiError) -> dict[str, Any]:
    return {"status_code": error.status, "body": error.body}


def advance(services: Services) -> int:
    """Take every open batch a step further; how many there are."""
    found = batches.open_ones(services.store)
    for row in found:
        try:
            _advance(services, row)
        except MisoraError as error:  # a full disk: it goes on later
            log.warning("batch: %s", error, extra={"batch": row["id"]})
    return len(found)


def _advance(services: Services, row: dict[str, Any]) -> None:
    if row["created_at"] + WINDOW < time.time():
        return _stop(services, row, "expired", "batch_expired", "This request could not be executed before the completion window expired.")
    waiting = batches.unplaced(services.store, row["id"], AT_ONCE)
    caller = keys.named(services.store, row["key_id"]) if waiting else None
    if waiting and caller is None:
        refusal = _refusal(ApiError(401, "The key that made this batch does not work any more.", code="invalid_api_key"))
        return batches.refuse_rest(services.store, row["id"], refusal)
    for line in waiting:
        assert caller is not None
        if not _place(services, row, line, caller):
            return None
    if not waiting and all(line.refusal or job is None or job.finished for line, job in batches.results(services.store, row["id"])):
        _finish(services, row, "completed")
    return None


def _place(services: Services, row: dict[str, Any], line: Any, caller: Caller) -> bool:
    """Make a line a job, once even after a crash; False when the account has as many as it may."""
    try:
        given = check(bodies.Body(fields=line.body, form=False), CREATE)
        order = order_of(services, caller, given, later=1)
        once = Once(key=f"{row['id']}:{line.number}", body_hash="batch")
        job = place_job(services, services.plans[caller.plan], order, given, once, {})
    except RefusedOrderError as error:
        if "month" not in str(error):
            return False
        refusal = _refusal(ApiError(429, str(error), kind="insufficient_quota", code="insufficient_quota"))
        batches.settle(services.store, row["id"], line.number, refusal=refusal)
    except ApiError as error:
        batches.settle(services.store, row["id"], line.number, refusal=_refusal(error))
    else:
        batches.settle(services.store, row["id"], line.number, video_id=job.id)
    return True


def _finish(services: Services, row: dict[str, Any], status: str) -> None:
    good: list[str] = []
    bad: list[str] = []
    for line, job in batches.results(services.store, row["id"]):
        (good if job is not None and job.status == COMPLETED else bad).append(json.dumps(_result(line, job), ensure_ascii=False))
    made = {"output_file": _write(services, row, "output", good), "error_file": _write(services, row, "error", bad)}
    batches.end(services.store, row["id"], status, **made)


def _result(line: Any, job: Job | None) -> dict[str, Any]:
    gone = {"status_code": 404, "body": ApiError(404, "The video was deleted.", code="deleted").body}
    answer = {"status_code": 200, "body": shape.video(job)} if job is not None else line.refusal or gone
    return {"id": new_id("batch_req"), "custom_id": line.custom_id, "response": answer | {"request_id": new_id("req")}, "error": None}


def _write(services: Services, row: dict[str, Any], kind: str, lines: list[str]) -> str | None:
    if not lines:
        return None
    text = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
    name = f"{row['id']}_{kind}.jsonl"
    return str(files.keep(services, row["account_id"], name, "batch_output", text, row["keep_seconds"])["id"])
