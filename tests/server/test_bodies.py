"""Laws of form fields as objects: what the SDK writes is read back, anything else is an object or a refusal; it knows no route."""

from __future__ import annotations

import contextlib
import random

import pytest

from misora.server.api.bodies import nested
from misora.server.api.errors import ApiError


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
