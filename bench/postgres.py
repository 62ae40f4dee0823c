"""A PostgreSQL of our own, started in a fresh folder and gone at the end, for tests and benches; it knows nothing of what is stored.

The programs are those on the PATH, Debian's, or those that the package ``pgserver`` brings. PostgreSQL refuses to run as root, so then it
runs as the user ``postgres``, or ``nobody``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PORT = 5499  # of a socket in a folder of its own: it is in nobody's way
READY = 120.0  # seconds


def programs() -> Path:
    """The folder with ``initdb`` and ``postgres``. Raises SystemExit, which says what to install."""
    known = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    known += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pgserver")
    known += [Path(package.origin).parent / "pginstall" / "bin"] if package and package.origin else []
    for folder in known:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise SystemExit("There is no PostgreSQL here; install the package postgresql of your system, or: pip install pgserver.")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A running PostgreSQL; its address as ``--db`` takes it."""
    folder, where = Path(tempfile.mkdtemp(prefix="misora-pg-")), programs()
    user = _user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    common = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
    environment = {"PATH": f"{where}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    data = folder / "data"
    command = [str(where / "initdb"), "-D", str(data), "-U", "misora", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=folder, **common)  # type: ignore[call-overload]
    command = [str(where / "postgres"), "-D", str(data), "-k", str(folder), "-h", "", "-p", str(PORT)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, cwd=folder, **quiet, **common)  # type: ignore[call-overload]
    try:
        _wait(where, folder, environment)
        yield f"postgresql://misora@/postgres?host={folder}&port={PORT}"
    finally:
        process.send_signal(signal.SIGINT)  # a fast stop: whoever is connected is cut off
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    """Whose it must be: nobody else's unless we are root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _wait(where: Path, folder: Path, environment: dict[str, str]) -> None:
    end = time.monotonic() + READY
    asking = [str(where / "pg_isready"), "-h", str(folder), "-p", str(PORT), "-U", "misora", "-d", "postgres"]
    while subprocess.run(asking, capture_output=True, check=False, env=environment).returncode != 0:
        if time.monotonic() > end:
            raise SystemExit("PostgreSQL did not start in time.")
        time.sleep(0.2)
