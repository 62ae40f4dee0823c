"""Models by name: what they are, where downloads are kept, how they come and go; it knows nothing of what is inside the weights.

Downloads are the hub's own (``huggingface_hub``, extra ``wan``): kept in its cache, resumed where they stopped, shared with other
programs. Nothing is downloaded unless ``pull`` is called.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from misora.client.errors import CheckpointError, MissingExtraError
from misora.model.hashes import verify
from misora.model.shards import files_of
from misora.model.wan import read_json
from misora.model.wan_config import from_json

CONFIGS = ("transformer/config.json", "config.json")  # in diffusers' layout, in the original one
NETWORKS = ("transformer", "vae", "text_encoder")
PATTERNS = ["*.json", "*.safetensors", "tokenizer/*", "google/umt5-xxl/*", "LICENSE*"]  # never a pickle
ROOM = 2**30  # bytes that stay free on the disk


@dataclasses.dataclass(frozen=True, kw_only=True)
class Named:
    """A model that Misora has a name for."""

    repository: str
    licence: str
    gigabytes: float  # of its download, about: text encoder included
    says: str


NAMED = {
    "wan2.1-t2v-1.3b": Named(
        repository="Wan-AI/Wan2.1-T2V-1.3B-Diffusers", licence="apache-2.0", gigabytes=29, says="Wan 2.1, text to video, 1.3 B, 480p"
    ),
    "wan2.1-t2v-14b": Named(
        repository="Wan-AI/Wan2.1-T2V-14B-Diffusers", licence="apache-2.0", gigabytes=80, says="Wan 2.1, text to video, 14 B, 480p and 720p"
    ),
    "wan2.2-ti2v-5b": Named(
        repository="Wan-AI/Wan2.2-TI2V-5B-Diffusers", licence="apache-2.0", gigabytes=34, says="Wan 2.2, text and image to video, 5 B, 720p"
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """A download that is here."""

    repository: str
    folder: Path
    bytes: int


def repository_of(model: str) -> str | None:
    """The hub's id of a name of ours or of an id itself; None where ``model`` can only be a folder."""
    if model in NAMED:
        return NAMED[model].repository
    parts = model.split("/")
    return model if len(parts) == 2 and all(parts) and not model.startswith((".", "~")) and not Path(model).exists() else None


def folder_of(model: str) -> Path:
    """Where the files of a name, an id or a folder are on this machine. Raises CheckpointError, MissingExtraError."""
    repository = repository_of(model)
    if repository is None:
        folder = Path(model).expanduser()
        if not folder.exists():
            raise CheckpointError(unknown(model))
        return folder
    hub = library()
    try:
        folder = Path(hub.snapshot_download(repository, local_files_only=True, allow_patterns=PATTERNS, cache_dir=cache()))
    except hub.errors.LocalEntryNotFoundError as error:
        raise CheckpointError(f"{model} is not on this machine, or only half of it; fetch it with `misora models pull {model}`.") from error
    if missing := _lacks(folder):
        raise CheckpointError(
            f"Only half of {model} is on this machine ({missing} is missing); fetch the rest: `misora models pull {model}`."
        )
    return folder


def unknown(model: str) -> str:
    """What is said of a name that means nothing."""
    known = ", ".join(("embedded", *NAMED))
    return f"There is no model {model!r}; give one of {known}, a hub id like owner/name, or a folder that exists."


def pull(model: str) -> Path:
    """Download a model, or what is missing of it, and check it; returns its folder. Raises CheckpointError, MissingExtraError."""
    repository, hub = _asked(model), library()
    with explained(hub, model):
        check_family(repository)
        missing = sum(
            file.file_size
            for file in hub.snapshot_download(repository, allow_patterns=PATTERNS, cache_dir=cache(), dry_run=True)
            if not file.is_cached
        )
        free = shutil.disk_usage(_existing(cache())).free
        if missing + ROOM > free:
            needs = f"needs {(missing + ROOM) / 1e9:.1f} GB and {free / 1e9:.1f} GB are free in {cache()}"
            raise CheckpointError(f"{model} {needs}; make room, or set HF_HOME to a folder on a larger disk.")
        folder = Path(hub.snapshot_download(repository, allow_patterns=PATTERNS, cache_dir=cache()))
    for network in [folder / name for name in NETWORKS if (folder / name).is_dir()] or [folder]:
        verify(files_of(network), checked())
    return folder


def check_family(repository: str) -> None:
    """Fetch no more than the configuration, and refuse what is not of the family before anything large comes. Raises CheckpointError.

    In diffusers' layout it lies beside the transformer, in the original one beside everything.
    """
    hub = library()
    try:
        path = hub.hf_hub_download(repository, CONFIGS[0], cache_dir=cache())
    except hub.errors.RemoteEntryNotFoundError:
        path = hub.hf_hub_download(repository, CONFIGS[1], cache_dir=cache())
    from_json(read_json(Path(path)), repository)


def licence(model: str) -> str:
    """The licence that a model's authors state; asked of the hub where it is none of ours. Raises CheckpointError."""
    if model in NAMED:
        return NAMED[model].licence
    repository, hub = _asked(model), library()
    with explained(hub, model):
        tags = hub.model_info(repository).tags or []
    return next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "not stated: ask its authors")


def kept() -> list[Kept]:
    """The models of the family that the cache holds; none where the library is not installed or nothing was ever downloaded."""
    with contextlib.suppress(MissingExtraError):
        found = []
        for repository in sorted(_scan(), key=lambda repository: repository.repo_id):
            for revision in repository.revisions:
                told = next((path for name in CONFIGS if (path := revision.snapshot_path / name).is_file()), None)
                if repository.repo_type == "model" and told and "Wan" in str(read_json(told).get("_class_name")):
                    found.append(Kept(repository=repository.repo_id, folder=revision.snapshot_path, bytes=revision.size_on_disk))
        return found
    return []


def remove(model: str) -> int:
    """Delete every version of a downloaded model; returns the bytes that this frees. Raises CheckpointError, MissingExtraError."""
    repository = repository_of(model)
    library()
    revisions = [revision.commit_hash for found in _scan() if found.repo_id == repository for revision in found.revisions]
    if repository is None or not revisions:
        raise CheckpointError(f"{model} is no download of this machine; see `misora models list`. Folders of your own are never deleted.")
    plan = library().scan_cache_dir(cache()).delete_revisions(*revisions)
    plan.execute()
    return int(plan.expected_freed_size)


def cache() -> Path:
    """The folder that downloads are kept in: the hub's own, so that ``HF_HOME`` moves it."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def checked() -> Path:
    """The folder that remembers which files were found to be whole."""
    return cache().parent / "misora-checked"


def library() -> Any:
    """``huggingface_hub``. Raises MissingExtraError."""
    extra("huggingface_hub.errors")
    return extra("huggingface_hub")


def extra(name: str) -> Any:
    """A module of the extra ``wan``. Raises MissingExtraError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("Open weights need the extra `wan`; install it with `pip install 'misora[wan]'`.") from error


@contextlib.contextmanager
def explained(hub: Any, model: str) -> Iterator[None]:
    """Whatever goes wrong on the way to the hub becomes a CheckpointError that says what to do."""
    errors = hub.errors
    try:
        yield
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{model} is only for people who accepted its terms: accept them on its page, then set HF_TOKEN to your token and pull again."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(f"The hub has no public model {model}; check its name, or set HF_TOKEN if it is private.") from error
    except errors.RemoteEntryNotFoundError as error:
        raise CheckpointError(
            f"{model} has neither diffusers' layout nor the original one (no config.json); give the id of a model that has."
        ) from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError, *_no_answer(hub)) as error:
        raise CheckpointError(
            f"{model} is not on this machine and the hub cannot be reached; go online and pull again (it goes on where it stopped),"
            " or copy the folder here and give its path."
        ) from error
    except (errors.HfHubHTTPError, errors.HFValidationError, errors.FileMetadataError, OSError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            room = f"make room in {cache()}, or set HF_HOME to a folder on a larger disk"
            raise CheckpointError(f"The disk was full before all of {model} was here; {room}, and pull again.") from error
        first = str(error).splitlines()[0].rstrip(".")
        raise CheckpointError(f"{model} could not be fetched ({first}); pull again, it goes on where it stopped.") from error


def _no_answer(hub: Any) -> tuple[type[Exception], ...]:
    """What the hub's own HTTP library raises where no answer comes; which library that is depends on the version."""
    web = importlib.import_module(type(hub.get_session()).__module__.partition(".")[0])
    found = (getattr(web, name, None) for name in ("TransportError", "ConnectionError"))
    return tuple(kind for kind in found if isinstance(kind, type))


def _lacks(folder: Path) -> str | None:
    """What a download in diffusers' layout should hold by its own index and does not; files of an index of shards are not counted."""
    told = read_json(folder / "model_index.json") if (folder / "model_index.json").is_file() else {}
    wanted = {name: "*.safetensors" if name in NETWORKS else "*" for name in (*NETWORKS, "tokenizer")}
    return next((f"{name}/" for name, files in wanted.items() if told.get(name) and not any((folder / name).glob(files))), None)


def _asked(model: str) -> str:
    """The hub's id of what is to be fetched. Raises CheckpointError."""
    repository = repository_of(model)
    if repository is None:
        raise CheckpointError(f"{model} is no name and no hub id like owner/name; see `misora models list`.")
    return repository


def _scan() -> Any:
    hub = library()
    try:
        return hub.scan_cache_dir(cache()).repos
    except hub.CacheNotFound:
        return ()


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
