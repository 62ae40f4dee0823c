"""Lists that are read page by page: in which order, behind which row; it knows nothing of what is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Table

from misora.server.accounts.keys import Caller
from misora.server.api.errors import ApiError, invalid
from misora.server.api.services import Services
from misora.server.store import places


def newest_first(query: Mapping[str, str]) -> bool:
    """Which way ``order`` asks for, the newest first unless it says so. Raises ApiError."""
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid("order", f"Invalid value: '{order[:100]}'. Supported values are: 'asc', and 'desc'.")
    return order == "desc"


def behind(
    services: Services, table: Table, caller: Caller, query: Mapping[str, str], rows: Iterable[dict[str, Any]], what: str
) -> list[dict[str, Any]]:
    """The rows behind the one that ``after`` names, be that one just deleted; all where it is not given. Raises ApiError."""
    name = query.get("after")
    place = places.find(services.store, table, caller.account_id, name) if name else None
    if name and place is None:
        raise nothing(what, name)
    return places.behind(rows, place, newest_first=newest_first(query))


def nothing(what: str, name: str | None) -> ApiError:
    """400 for an ``after`` that names nothing of the caller's."""
    return invalid("after", f"No {what} with id '{(name or '')[:100]}' was found to continue after.")
