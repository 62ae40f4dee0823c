"""``misora keys``: API keys made, listed, ended, also while the server runs; it knows nothing of how they are kept."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.cli import serving
from misora.client.errors import UsageError

if TYPE_CHECKING:
    from misora.server.settings import Settings

ACTIONS = {
    "revoke": "end a key, or a whole group, with its jobs and links; for good",
    "suspend": "stop a key for a while; its jobs wait",
    "resume": "let a suspended key work again",
    "retire": "end a key and let its jobs finish; make another for the same account first",
}


def add_parser(verbs: Any) -> None:
    """Add the verb, its actions and their flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("keys", help="make, list and end API keys")
    actions = parser.add_subparsers(dest="action", metavar="create|list|revoke|suspend|resume|retire", required=True)
    create = actions.add_parser("create", help="make a key and print it, the only time")
    create.add_argument("name", metavar="NAME", help="what it is for")
    create.add_argument("--plan", default="default", metavar="PLAN", help="the plan of its new account (default: default)")
    create.add_argument("--plans", type=Path, metavar="FILE", help="know these plans too, before the server was started with them")
    create.add_argument("--group", default="", metavar="G", help="revoked together with the others of this group")
    create.add_argument("--scopes", default="generate", metavar="LIST", help="generate, publish, admin; commas between (default: generate)")
    create.add_argument("--account", metavar="ID", help="another key for this account, instead of a new account")
    listing = actions.add_parser("list", help="every key, without its secret")
    listing.add_argument("--json", action="store_true", help="as one line of JSON")
    for name, says in ACTIONS.items():
        action = actions.add_parser(name, help=says)
        action.add_argument("id", nargs="?", metavar="ID", help="the key's name in the list")
        action.add_argument("--group", metavar="G", help="every key of this group")
    for action in actions.choices.values():
        serving.add_place(action)
        action.set_defaults(run=run, computes=False)


def run(args: argparse.Namespace) -> None:
    """Do one thing to the keys. Raises MisoraError."""
    settings = serving.settings_from(args)
    from misora.server.accounts import keys, plans
    from misora.server.serve import existing_store, open_store

    known = plans.load(settings.plans).names()
    new = args.action == "create" and args.plan in known  # another plan can only be one of a server that is there already
    store = open_store(settings) if new else existing_store(settings)
    try:
        if args.action == "create":
            if not new:
                _check_plan(args.plan, list(dict.fromkeys([*known, *plans.told(store)])))
            scopes = args.scopes.replace(",", " ")
            print(keys.create(store, args.name, plan=args.plan, cohort=args.group, scopes=scopes, account_id=args.account).secret)
        elif args.action == "list":
            _show(keys.listing(store), as_json=args.json)
        else:
            _end(store, args, settings)
    finally:
        store.close()


def _check_plan(plan: str, known: list[str]) -> None:
    if plan not in known:
        raise UsageError(f"There is no plan {plan!r} here, only {', '.join(known)}; name one of a file to come with --plans FILE.")


def _end(store: Any, args: argparse.Namespace, settings: Settings) -> None:
    from misora.server import journal
    from misora.server.accounts import keys

    if (args.id is None) == (args.group is None):
        raise UsageError("Name one key by its id, or a --group; `misora keys list` shows them.")
    which: dict[str, Any] = {"key_id": args.id, "cohort": args.group, "actor": "operator"}
    state = keys.AFTER[args.action]
    end = (lambda: keys.revoke(store, **which)) if state == "revoked" else (lambda: keys.change(store, state, **which))
    ended = journal.in_turn(settings.data, end, lambda names: journal.ended(state, names))
    if not ended:
        raise UsageError(f"No key that could be changed has the id or group {args.id or args.group!r}; see `misora keys list`.")
    print("\n".join(ended))


def _show(rows: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        print("  ".join(str(row[name]) or "-" for name in ("id", "state", "name", "account_id", "plan", "group", "scopes")))
