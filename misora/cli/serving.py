"""What the server's verbs share: where its data lies, and the extra that they need; it knows nothing of the server."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli.environment import moderation_key
from misora.client.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from misora.server.settings import Settings

DATA = Path("misora-data")
WORK = ("plans", "moderation_url", "classifier", "check_fails", "certificate", "certificate_key", "visible_mark")


def add_place(parser: argparse.ArgumentParser) -> None:
    """The flags that say which server is meant."""
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="the server's folder (default: misora-data)")
    parser.add_argument("--db", metavar="URL", help="its database: postgresql://… (default: SQLite in the folder)")


def add_work(parser: argparse.ArgumentParser) -> None:
    """The flags that a server and a worker of it must agree on."""
    parser.add_argument("--plans", type=Path, metavar="FILE", help="the plans, as TOML (default: one, unlimited)")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME=FOLDER", help="the weights behind a model name; again for more"
    )
    parser.add_argument("--moderation-url", default="", metavar="URL", help="also ask a server that answers as OpenAI's moderations do")
    parser.add_argument("--classifier", default="", metavar="PROGRAM", help="also ask a program of your own, of uploads and outputs too")
    parser.add_argument(
        "--check-fails",
        choices=("block", "review", "unchecked"),
        default="review",
        help="what it means when one of these two cannot answer (default: review)",
    )
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="sign with this chain, the leaf first, instead of our own")
    parser.add_argument("--certificate-key", type=Path, metavar="PEM", help="and this private key")
    parser.add_argument("--visible-mark", action="store_true", help="show the letters AI in a corner of every video")


def settings_from(args: argparse.Namespace, **more: object) -> Settings:
    """The settings that the flags describe. Raises UsageError, MissingExtraError."""
    need_extra()
    from misora.server.settings import MODELS, Settings

    models = dict(MODELS)
    for pair in getattr(args, "model", []):
        name, _, folder = pair.partition("=")
        if not name or not folder:
            raise UsageError(f"--model {pair} cannot be read; write NAME=FOLDER, for example sora-2=embedded.")
        if folder.startswith(("/", ".", "~")) and not Path(folder).expanduser().exists():
            raise UsageError(
                f"There is nothing at {folder}, which is to be {name}; give a folder that exists, or a name of `misora models list`."
            )
        models[name] = folder
    work = {name: getattr(args, name) for name in WORK if hasattr(args, name)}
    given: dict[str, Any] = work | {"moderation_key": moderation_key()} | more
    return Settings(data=args.data.absolute(), db=args.db, models=models, **given)


def need_extra() -> None:
    """Raise MissingExtraError unless the server's libraries are installed."""
    for library in ("sqlalchemy", "alembic", "starlette", "uvicorn", "python_multipart", "prometheus_client"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(f"Serving needs {library}; install it with: pip install 'misora[serve]'.")
