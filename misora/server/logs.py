"""Logs as one JSON object a line on standard error; never prompts, never keys: only what a call names in ``extra``.

Of an error they tell its kind and where it happened, not its words, which may quote what was asked for.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback

OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Lines(logging.Formatter):
    """A record as one line of JSON; line breaks and control characters come out escaped, so nobody can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
        }
        line |= {"logger": record.name, "message": record.getMessage()}
        line |= {name: value for name, value in vars(record).items() if name not in OWN}
        if record.exc_info and record.exc_info[1]:
            line["error"] = _where(record.exc_info[1])
        return json.dumps(line, default=str)


def _where(error: BaseException | None) -> list[str]:
    """The kinds of an error and of those that led to it, the last first, each behind the calls that it went through."""
    told: list[str] = []
    while error is not None and len(told) < 200:
        told += [f"{call.filename}:{call.lineno} {call.name}" for call in traceback.extract_tb(error.__traceback__)]
        told.append(type(error).__name__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told


def set_up(level: int = logging.INFO) -> None:
    """Send this process's logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("misora").setLevel(level)
