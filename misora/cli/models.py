"""``misora models``: which weights are here, what they are, how they come and go; it knows nothing of how they are used."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_parser(verbs: Any) -> None:
    """Add the verb, its actions and their flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("models", help="list, fetch, show or remove weights")
    actions = parser.add_subparsers(dest="action", metavar="list|pull|show|remove", required=True)
    listing = actions.add_parser("list", help="the models that Misora knows by name, and those that are here")
    listing.set_defaults(run=run_list, computes=False)
    pull = actions.add_parser("pull", help="download a model of the Wan family, or what is missing of it; it goes on where it stopped")
    pull.add_argument("name", metavar="NAME|OWNER/NAME", help="a name of the list, or the hub's id of any model of the family")
    pull.set_defaults(run=run_pull, computes=False)
    show = actions.add_parser("show", help="one model's networks, checked, and its training record")
    show.add_argument("name", nargs="?", default="embedded", metavar="NAME|FOLDER", help="embedded (default), a name, a hub id or a folder")
    show.set_defaults(run=run_show, computes=False)
    remove = actions.add_parser("remove", help="delete a download; folders of your own are never touched")
    remove.add_argument("name", metavar="NAME|OWNER/NAME", help="what was pulled")
    remove.set_defaults(run=run_remove, computes=False)


def run_list(args: argparse.Namespace) -> None:
    """Print each model's name, size and licence, and whether it is here. Raises CheckpointError."""
    from misora.model import hub
    from misora.model.weights import EMBEDDED

    size = sum(path.stat().st_size for path in EMBEDDED.glob("*.safetensors"))
    print(f"embedded  {EMBEDDED.name}  {size / 1e6:.1f} MB")
    here = {kept.repository: kept for kept in hub.kept()}
    for name, named in hub.NAMED.items():
        kept = here.pop(named.repository, None)
        state = f"{kept.bytes / 1e9:.1f} GB here" if kept else f"about {named.gigabytes:g} GB, not here: misora models pull {name}"
        print(f"{name}  {named.says}  {named.licence}  {state}")
    for repository, kept in here.items():
        print(f"{repository}  {kept.bytes / 1e9:.1f} GB here")


def run_pull(args: argparse.Namespace) -> None:
    """Say the licence, download with progress, check, and say where it is. Raises CheckpointError, MissingExtraError."""
    from misora.model import hub

    print(f"{args.name}: licence {hub.licence(args.name)}", flush=True)
    print(f"{args.name}: {hub.pull(args.name)}")


def run_show(args: argparse.Namespace) -> None:
    """Print one model's networks and its training record, after checking every hash. Raises CheckpointError."""
    from misora.model.weights import is_ours

    _show_ours(args.name) if is_ours(args.name) else _show_wan(args.name)


def run_remove(args: argparse.Namespace) -> None:
    """Delete a download and say how much room that made. Raises CheckpointError, MissingExtraError."""
    from misora.model import hub

    print(f"{args.name}: {hub.remove(args.name) / 1e9:.1f} GB freed")


def _show_ours(name: str) -> None:
    from misora.model import checkpoint
    from misora.model.weights import FILES, folder_of

    folder = folder_of(name)
    for network in FILES:
        path = folder / f"{network}.safetensors"
        tensors, _ = checkpoint.load(path)
        count = sum(tensor.numel() for tensor in tensors.values())
        print(f"{network}: {count / 1e6:.2f} M parameters, {path.stat().st_size / 1e6:.1f} MB")
    record = folder / "record.json"
    if record.is_file():
        print(json.dumps(json.loads(record.read_text("utf-8")), indent=2, ensure_ascii=False))


def _show_wan(name: str) -> None:
    from misora.model import hub
    from misora.model.hashes import verify
    from misora.model.shards import Shards, files_of
    from misora.model.wan import look
    from misora.model.wan_weights import refuse

    folder = hub.folder_of(name)
    refuse(folder)
    config = look(folder)
    print(f"{folder}: Wan, {config.width} wide, {config.depth} layers, {config.heads} heads, {config.channels} latent channels")
    for network in [part for part in hub.NETWORKS if (folder / part).is_dir()] or ["."]:
        shards = Shards(folder / network)
        checked = f", {count} checked by hash" if (count := verify(files_of(folder / network), hub.checked())) else ""
        title = folder.name if network == "." else network
        print(f"{title}: {shards.parameters() / 1e9:.2f} B parameters, {shards.bytes / 1e9:.2f} GB{checked}")
