"""Settings that every test shares: the same examples, no deadline, certificates away from home; it knows nothing of any room."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: each computes with one thread, and so do those that it starts
    os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50, database=None)
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what asks for the C functions of ``model.amx`` where there is no AMX or no compiler; torch does their work there."""
    asking = [item for item in items if "kernels" in getattr(item, "fixturenames", ())]
    if asking:
        from misora.model import amx

        if amx.kernels() is None:
            config.hook.pytest_deselected(items=asking)
            items[:] = [item for item in items if item not in asking]


@pytest.fixture(scope="session", autouse=True)
def _certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield
