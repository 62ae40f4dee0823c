"""The operator's verbs where something is not as it should be: one sentence, nothing made by mistake; it knows no HTTP."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from misora.cli.main import main
from misora.server.accounts.plans import Plan, Plans, tell, told
from misora.server.serve import first_key, open_store
from misora.server.settings import Settings
from tests.tree import ROOT

LISTED = ("keys", "list")


@pytest.mark.parametrize(
    "command",
    [LISTED, ("keys", "revoke", "abc"), ("keys", "suspend", "--group", "g"), ("backup", "x.tar"), ("restore", "x.tar")],
)
def test_a_mistyped_folder_is_said_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--data", "mistyped"]) == 2
    assert capsys.readouterr().err.startswith("misora: ") and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "place, says",
    [
        (("--data", "file"), "cannot be made"),
        (("--data", "broken"), "cannot be opened"),
        (("--data", "new", "--db", "postgresql://me:hush@127.0.0.1:1/x"), r"cannot be opened|misora\[postgres\]"),
        (("--data", "new", "--db", "mysql://x"), "no database known here"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("broken").mkdir()
    Path("broken/misora.sqlite").write_bytes(b"no database" * 200)
    assert main(["keys", "create", "me", *place]) != 0
    told = capsys.readouterr().err
    assert re.search(says, told) and told.count("\n") == 1 and "hush" not in told


def test_a_key_made_before_the_first_start_does_not_cost_the_admin_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "laptop", "--data", str(tmp_path)]) == 0
    key = capsys.readouterr().out
    assert key.startswith("misora-") and key.count("\n") == 1
    store = open_store(Settings(data=tmp_path))
    first_key(store, tmp_path)
    assert (tmp_path / "admin.key").exists()
    store.close()
    assert main([*LISTED, "--data", str(tmp_path)]) == 0
    assert key.strip() not in (told := capsys.readouterr().out) and "laptop" in told and "admin" in told


def test_a_plan_that_nobody_knows_is_refused_by_the_names_of_those_that_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, file = tmp_path / "data", tmp_path / "plans.toml"
    file.write_text("[soon]\n")
    create = lambda *more: main(["keys", "create", "me", "--data", str(data), *more])
    assert create("--plan", "free") == 2 and not data.exists()
    assert create() == 0 == create("--plan", "soon", "--plans", str(file))
    for names, mistyped in ((["free", "paid"], "fre"), (["paid"], "free")):  # the server that started last
        store = open_store(Settings(data=data))
        for _ in range(2):
            tell(store, Plans({name: Plan() for name in names}))
        assert told(store) == ["default", *names]
        store.close()
        assert create("--plan", "paid") == 0 == create("--plan", "default")
        capsys.readouterr()
        assert create("--plan", mistyped) == 2
        output = capsys.readouterr()
        assert f"only default, {', '.join(names)};" in output.err and output.err.count("\n") == 1 and not output.out
    assert main([*LISTED, "--json", "--data", str(data)]) == 0
    assert [row["plan"] for row in json.loads(capsys.readouterr().out)].count("paid") == 2
    assert create("--plan", "soon") == 2 == create("--plan", "soon", "--plans", str(tmp_path / "none.toml"))


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "misora", "serve", "--port", str(taken.getsockname()[1]), "--workers", "0"]
        done = subprocess.run(
            [*command, "--data", str(tmp_path)], capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
    assert done.returncode == 1 and "ready" not in done.stdout and "Traceback" not in done.stderr
    assert "is taken; give another --host or --port" in done.stderr.splitlines()[-1]


def test_a_model_s_folder_that_is_not_there_is_said_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--data", str(tmp_path / "data"), "--model", "sora-2=./nowhere"]) == 2
    assert "nothing at ./nowhere, which is to be sora-2" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
