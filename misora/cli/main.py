"""``misora VERB …``: finds the verb, runs it, and turns errors into one sentence and an exit code; it knows nothing of any verb."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import misora
from misora.cli import (
    animate,
    backup,
    bench,
    connect,
    environment,
    evals,
    extend,
    generate,
    image,
    inpaint,
    keys,
    loop,
    models,
    policy,
    remix,
    serve,
    simulate,
    storyboard,
    train,
    verify,
    worker,
    world,
)
from misora.client.errors import MisoraError, UsageError

DRAWING = (generate, image, animate, extend, connect, loop, remix, inpaint, storyboard, simulate)
VERBS = (*DRAWING, serve, worker, keys, backup, verify, policy, train, world, evals, bench, models)
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError, so that a mistyped flag ends like every other mistake."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's message and where to look."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


def build_parser() -> Parser:
    """The whole command line; the documentation is made from it."""
    parser = Parser(prog="misora", description="Turn a sentence into a video, here on this machine.")
    parser.add_argument("--version", action="version", version=f"misora {misora.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 asked wrongly, 130 interrupted."""
    try:
        args = build_parser().parse_args(argv)
        if argv is None:
            environment.terminate_politely()
            if args.computes:
                environment.keep_memory()
        args.run(args)
        sys.stdout.flush()
    except MisoraError as error:
        if environment.debugging():
            raise
        print(f"misora: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever reads our output has seen enough, as `| head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a folder that cannot be made, a disk that is full, a name that no file can have
        if environment.debugging():
            raise
        where = f"{str(error.filename)[:200]}: " if error.filename else ""
        print(f"misora: {where}{error.strerror or error}; check the name and the place.", file=sys.stderr)
        return MisoraError.exit_code
    except KeyboardInterrupt:
        print("misora: stopped; what was not finished was not written.", file=sys.stderr)
        return INTERRUPTED
    return 0
