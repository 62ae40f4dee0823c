"""What the tests of the command line share: a model folder of tiny networks."""

from __future__ import annotations

import pytest

from tests.tiny import write_weights


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_weights(tmp_path_factory.mktemp("weights")))
