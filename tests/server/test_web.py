"""Laws of the web process: it never loads torch, and listens to others only when told so; it knows nothing of the queue."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from misora.client.errors import UsageError
from misora.server.serve import check_address, first_key, open_store
from misora.server.settings import Settings
from tests.tree import ROOT

LOADED = "import sys, misora.server.serve; print([name for name in ('torch', 'av', 'numpy', 'alembic') if name in sys.modules])"


def test_the_web_process_never_loads_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_the_worker_leans_on_the_renderer() -> None:
    leaning = {path.name for path in (ROOT / "misora/server").rglob("*.py") if "misora.render" in path.read_text("utf-8")}
    assert leaning == {"rendering.py"}


def test_it_listens_to_others_only_with_tls_or_when_told_so(tmp_path: Path) -> None:
    check_address(Settings(data=tmp_path))
    check_address(Settings(data=tmp_path, host="0.0.0.0", insecure_http=True))
    check_address(Settings(data=tmp_path, host="0.0.0.0", tls_cert=tmp_path / "c", tls_key=tmp_path / "k"))
    for wrong in ({"host": "0.0.0.0"}, {"tls_cert": tmp_path / "c"}, {"host": "no.such.invalid"}):
        with pytest.raises(UsageError):
            check_address(Settings(data=tmp_path, **wrong))  # type: ignore[arg-type]


def test_the_first_key_is_written_once_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data=tmp_path / "new")
    store = open_store(settings)
    first_key(store, settings.data)
    path = settings.data / "admin.key"
    assert path.stat().st_mode & 0o777 == 0o600 and str(path) in capsys.readouterr().out
    before = path.read_text()
    first_key(store, settings.data)
    assert path.read_text() == before and not capsys.readouterr().out
    store.close()
