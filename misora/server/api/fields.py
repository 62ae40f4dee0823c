"""The fields of a request: one table checks what comes in and writes the OpenAPI page; it knows nothing of routes or jobs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from misora.client.wire import SIDES, parse_size
from misora.server.api.bodies import Body, files
from misora.server.api.errors import ApiError, invalid, wrong_type

PROMPT = 32_000  # characters, as the contract says
JUDGED = 64_000  # characters that a request may have judged in all: judging takes a second or more for every prompt's worth
INTEGER = 2**63 - 1
NESTED = ("object", "array", "texts", "notes", "source")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """One field: ``kind`` names its checker; the limits are characters, items or values, whichever the kind has."""

    name: str
    kind: str
    says: str
    required: bool = False
    least: float = 0
    most: float = INTEGER
    choices: tuple[str, ...] = ()
    inside: tuple[Field, ...] = ()

    def schema(self) -> dict[str, Any]:
        """The field as OpenAPI writes it."""
        return SCHEMAS[self.kind](self) | {"description": self.says}


def check(body: Body, table: Sequence[Field], where: str = "") -> dict[str, Any]:
    """The values of ``table`` found in ``body``, checked and typed; absent ones are absent. Raises ApiError naming the field."""
    known = {field.name for field in table}
    for name in body.fields:
        if name not in known:
            raise invalid(f"{where}{name}"[:100], f"Unknown parameter: '{where}{name[:100]}'.", "unknown_parameter")
    found: dict[str, Any] = {}
    for field in table:
        value = body.fields.get(field.name)
        if value is None:
            if field.required:
                raise invalid(where + field.name, f"Missing required parameter: '{where}{field.name}'.", "missing_required_parameter")
            continue
        if body.form and isinstance(value, str) and field.kind in NESTED:
            value = _unpacked(value)
        found[field.name] = CHECKS[field.kind](field, value, body.form, where + field.name)
    return found


def _unpacked(text: str) -> Any:
    """What a form's field means that holds JSON, as some clients send objects and lists; other text as it is."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def plain_text(value: Any, param: str, least: float, most: float) -> str:
    """A text without NUL and lone surrogates, so that every database and file can hold it. Raises ApiError."""
    if not isinstance(value, str):
        raise wrong_type(param, "a string", value)
    if len(value) > most:
        message = f"Invalid '{param}': string too long. Expected at most {most:,} characters, got {len(value):,}."
        raise invalid(param, message, "string_above_max_length")
    if len(value.strip()) < least or (least and not any(letter.isprintable() and not letter.isspace() for letter in value)):
        raise invalid(
            param,
            f"Invalid '{param}': string too short. Expected at least {least:g} characters that can be seen.",
            "string_below_min_length",
        )
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise invalid(param, f"Invalid '{param}': it holds characters that are no text (NUL or half a surrogate pair).")
    return value


def check_judged(texts: Iterable[str | None], param: str) -> None:
    """Raise ApiError where the policy would have more to read of one request than its share."""
    if (length := sum(len(text or "") for text in texts)) > JUDGED:
        message = f"Invalid '{param}': its texts are too long together. Expected at most {JUDGED:,} characters, got {length:,}."
        raise invalid(param, message, "string_above_max_length")


def _text(field: Field, value: Any, form: bool, param: str) -> str:
    return plain_text(value, param, field.least, field.most)


def _choice(field: Field, value: Any, form: bool, param: str) -> str:
    text = plain_text(value, param, 0, 1000)
    if text not in field.choices:
        *first, last = [f"'{choice}'" for choice in field.choices]
        raise invalid(
            param, f"Invalid value: '{text[:100]}'. Supported values are: {', '.join([*first, 'and ' + last] if first else [last])}."
        )
    return text


def _number(value: Any, form: bool, param: str, kind: Callable[[str], float], expected: str) -> float:
    if form and isinstance(value, str):
        try:
            return kind(value) if len(value) <= 40 and value.isascii() and "_" not in value else kind("")
        except ValueError:
            raise invalid(param, f"Invalid value for '{param}': expected {expected}, but got '{value[:40]}'.", "invalid_type") from None
    if isinstance(value, bool) or not isinstance(value, int | (float if kind is float else int)):
        raise wrong_type(param, expected, value)
    return value


def _within(field: Field, value: float, param: str) -> None:
    if not field.least <= value <= field.most:  # refuses nan too
        raise invalid(param, f"Invalid value for '{param}': expected {field.least:g} to {field.most:g}, but got {str(value)[:40]}.")


def _integer(field: Field, value: Any, form: bool, param: str) -> int:
    number = _number(value, form, param, int, "an integer")
    _within(field, number, param)
    return int(number)


def _real(field: Field, value: Any, form: bool, param: str) -> float:
    number = _number(value, form, param, float, "a number")
    if (isinstance(number, int) and number.bit_length() > 64) or not math.isfinite(number):
        raise invalid(param, f"Invalid value for '{param}': expected {field.least:g} to {field.most:g}.")
    _within(field, number, param)
    return float(number)


def _flag(field: Field, value: Any, form: bool, param: str) -> bool:
    if form and isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    if not isinstance(value, bool):
        raise wrong_type(param, "a boolean", value)
    return value


def _seconds(field: Field, value: Any, form: bool, param: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):  # the SDK's type is a string; many callers send a number
        value = str(value)
    text = plain_text(value, param, 0, 1000)
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and str(int(text)) == text and field.least <= int(text) <= field.most):
        message = f"Invalid value: '{text[:100]}'. Supported values are: the whole numbers from '{field.least:g}' to '{field.most:g}'."
        raise invalid(param, message)
    return int(text)


def _size(field: Field, value: Any, form: bool, param: str) -> str:
    text = plain_text(value, param, 0, 1000)
    try:
        width, height = parse_size(text)
    except ValueError as error:
        raise invalid(param, f"Invalid value: '{text[:100]}'. {error}") from None
    return f"{width}x{height}"


def _object(field: Field, value: Any, form: bool, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type(param, "an object", value)
    return check(Body(fields=value, form=form), field.inside, f"{param}.")


def _array(field: Field, value: Any, form: bool, param: str) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_type(param, "an array", value)
    if not field.least <= len(value) <= field.most:
        raise invalid(param, f"Invalid '{param}': expected {field.least:g} to {field.most:g} items, but got {len(value)}.", "array_length")
    return [_object(field, each, form, f"{param}[{index}]") for index, each in enumerate(value)]


def _texts(field: Field, value: Any, form: bool, param: str) -> list[str]:
    if not isinstance(value, list):
        raise wrong_type(param, "an array", value)
    if not field.least <= len(value) <= field.most:
        raise invalid(param, f"Invalid '{param}': expected {field.least:g} to {field.most:g} items.", "array_length")
    return [plain_text(each, f"{param}[{index}]", 1, 80) for index, each in enumerate(value)]


def _source(field: Field, value: Any, form: bool, param: str) -> Any:
    """A file part, or an object of ``inside``; several file parts where ``most`` allows."""
    found = files(value)
    if found:
        if len(found) > field.most or (isinstance(value, list) and len(found) < len(value)):
            raise invalid(param, f"Invalid '{param}': at most {field.most:g} file may be given.")
        return found[0]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise wrong_type(param, "an object or a file" if form else "an object", value)
    given = check(Body(fields=value, form=form), field.inside, f"{param}.")
    if len(given) != 1:
        names = " or ".join(f"'{each.name}'" for each in field.inside)
        raise invalid(param, f"Invalid '{param}': give exactly one of {names}.")
    return given


def _notes(field: Field, value: Any, form: bool, param: str) -> dict[str, str]:
    """Names and texts of the caller's own."""
    if not isinstance(value, dict):
        raise wrong_type(param, "an object", value)
    if len(value) > field.most:
        raise invalid(param, f"Invalid '{param}': at most {field.most:g} pairs may be given.", "object_above_max_properties")
    return {plain_text(name, param, 1, 64): plain_text(text, f"{param}.{name[:64]}", 0, 512) for name, text in value.items()}


def query_integer(text: str | None, param: str, default: int, least: int, most: int) -> int:
    """A whole number of the query string. Raises ApiError."""
    if text is None:
        return default
    return _integer(Field(name=param, kind="integer", says="", least=least, most=most), text, True, param)


CHECKS: dict[str, Callable[[Field, Any, bool, str], Any]] = {
    "text": _text,
    "choice": _choice,
    "integer": _integer,
    "number": _real,
    "flag": _flag,
    "seconds": _seconds,
    "size": _size,
    "object": _object,
    "array": _array,
    "texts": _texts,
    "notes": _notes,
    "source": _source,
}


def object_schema(table: Sequence[Field]) -> dict[str, Any]:
    """An object of these fields as OpenAPI writes it."""
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {each.name: each.schema() for each in table}}
    required = [each.name for each in table if each.required]
    return schema | ({"required": required} if required else {})


SCHEMAS: dict[str, Callable[[Field], dict[str, Any]]] = {
    "text": lambda field: {"type": "string", "minLength": int(field.least), "maxLength": int(field.most)},
    "choice": lambda field: {"type": "string", "enum": list(field.choices)},
    "integer": lambda field: {"type": "integer", "minimum": int(field.least), "maximum": int(field.most)},
    "number": lambda field: {"type": "number", "minimum": field.least, "maximum": field.most},
    "flag": lambda field: {"type": "boolean"},
    "seconds": lambda field: {"type": "string", "enum": [str(each) for each in range(int(field.least), int(field.most) + 1)]},
    "size": lambda field: {"type": "string", "pattern": "^[0-9]{2,4}x[0-9]{2,4}$", "example": "1280x720", "x-sides": list(SIDES)},
    "object": lambda field: object_schema(field.inside),
    "array": lambda field: {
        "type": "array",
        "minItems": int(field.least),
        "maxItems": int(min(field.most, 1000)),
        "items": object_schema(field.inside),
    },
    "texts": lambda field: {
        "type": "array",
        "minItems": int(field.least),
        "maxItems": int(field.most),
        "items": {"type": "string", "minLength": 1, "maxLength": 80},
    },
    "notes": lambda field: {
        "type": "object",
        "maxProperties": int(field.most),
        "additionalProperties": {"type": "string", "maxLength": 512},
    },
    "source": lambda field: {"anyOf": [object_schema(field.inside) | {"minProperties": 1, "maxProperties": 1}]},
}

__all__ = ["ApiError", "Field", "check", "check_judged", "object_schema", "plain_text", "query_integer"]
