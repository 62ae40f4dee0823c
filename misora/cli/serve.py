"""``misora serve``: the Videos API on this machine; it knows nothing of how requests are answered."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from misora.cli import serving
from misora.client.errors import UsageError


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("serve", help="serve the Videos API, for the official openai SDK")
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="where to listen (default: 127.0.0.1, this machine alone)")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="the port, 0 for a free one (default: 8000)")
    serving.add_place(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that make videos; 0 for none here (default: 1)")
    serving.add_work(parser)
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="serve https with this certificate")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="and this key")
    parser.add_argument("--insecure-http", action="store_true", help="listen beyond this machine without TLS, behind a proxy that has it")
    parser.add_argument("--trusted-proxy", action="append", default=[], metavar="IP", help="believe the forwarded addresses of this proxy")
    parser.add_argument("--private-webhooks", action="store_true", help="deliver webhooks also to plain http and this network")
    parser.add_argument("--drain", type=float, default=30.0, metavar="S", help="seconds that a job in hand gets at SIGTERM (default: 30)")
    parser.set_defaults(run=run, computes=False)


def run(args: argparse.Namespace) -> None:
    """Serve until SIGTERM. Raises MisoraError."""
    if not 0 <= args.workers <= 64:
        raise UsageError(f"{args.workers} workers cannot be kept; give a whole number from 0 to 64.")
    if not 0 <= args.port <= 65535:
        raise UsageError(f"{args.port} is no port; give a whole number from 0 to 65535.")
    settings = serving.settings_from(
        args,
        host=args.host,
        port=args.port,
        workers=args.workers,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        insecure_http=args.insecure_http,
        trusted_proxies=tuple(args.trusted_proxy),
        private_webhooks=args.private_webhooks,
        drain_seconds=args.drain,
    )
    from misora.server.serve import serve

    serve(settings)
