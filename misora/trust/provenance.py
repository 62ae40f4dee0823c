"""C2PA manifests: what was made, from what, by which job, signed into the file itself; it knows nothing of pixels or of who asked.

The manifest carries the job's id and a SHA-256 of the prompt, never the prompt. Needs the extra ``misora[sign]``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.client.errors import MediaError, MissingExtraError, ProvenanceError
from misora.media.atomic import replacing
from misora.media.limits import sniff
from misora.trust import authority
from misora.trust.authority import Credentials

if TYPE_CHECKING:
    from torch import Tensor

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
JOB = "org.misora.job"
TYPES = {"mov": "video/mp4", "png_pipe": "image/png", "jpeg_pipe": "image/jpeg", "webp_pipe": "image/webp", "gif": "image/gif"}
ENDINGS = {".mov": "video/quicktime", ".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png", ".jpg": "image/jpeg"} | {
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Story:
    """How a file came to be. ``parents`` are clips that it continues or changes; ``inputs`` are images and clips that were looked at."""

    job: str = dataclasses.field(default_factory=lambda: f"local_{secrets.token_hex(8)}")
    prompt: str = dataclasses.field(default="", repr=False)
    parents: tuple[Path, ...] = ()
    inputs: tuple[Path, ...] = ()


def available() -> bool:
    """Whether ``misora[sign]`` is installed."""
    return bool(importlib.util.find_spec("c2pa") and importlib.util.find_spec("cryptography"))


def prompt_hash(prompt: str) -> str:
    """What a manifest says of the prompt: SHA-256 of its UTF-8, in hexadecimal."""
    return hashlib.sha256(prompt.encode()).hexdigest()


class Signer:
    """Signs finished files: ``Signer.open(folder).sign(unsigned, target, Story(job="video_1", prompt="…"))``.

    ``folder`` holds our own certificates (made at the first call); an operator's ``certificate`` and ``key`` (PEM) replace them.
    Raises MissingExtraError without ``misora[sign]`` and ProvenanceError for credentials that cannot sign.
    """

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        c2pa = _library()
        try:
            self._signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(_algorithm(credentials.key), credentials.chain, credentials.key, None))
        except c2pa.C2paError as error:
            raise ProvenanceError(f"These certificates cannot sign ({error}); give a chain that suits C2PA, the leaf first.") from None

    @classmethod
    def open(cls, folder: Path | None = None, *, certificate: Path | None = None, key: Path | None = None) -> Signer:
        """The signer of this installation, or of this user when no ``folder`` is given."""
        _library()
        ours = authority.open_authority(folder or authority.home())
        return cls(authority.operators(certificate, key, ours) if certificate and key else ours)

    @property
    def root(self) -> str:
        """The root certificates (PEM) that somebody else needs in order to trust our files."""
        return self.credentials.anchors

    def sign(self, source: Path, target: Path, story: Story) -> Path:
        """Write ``source``, signed, to ``target``, which appears whole or not at all. Raises ProvenanceError, MediaError."""
        for used in (*story.parents, *story.inputs):
            self.check_source(used)
        c2pa, kind = _library(), ENDINGS.get(target.suffix.lower(), "video/mp4")
        context = c2pa.Context.from_dict(_settings(self.root))
        try:
            with replacing(target) as beside, c2pa.Builder(manifest(story, target.name, kind), context=context) as builder:
                for ingredient, path in _ingredients(story):
                    _add(builder, ingredient, path)
                with source.open("rb") as read, beside.open("w+b") as write:
                    builder.sign(self._signer, kind, read, write)
        except c2pa.C2paError as error:
            raise ProvenanceError(f"{target.name} could not be signed ({error}); nothing was written.") from None
        return target

    def check_source(self, path: Path) -> None:
        """Refuse a source whose own manifest does not hold: a signed remix of it would read as trusted. Raises ProvenanceError."""
        found = read(path, self.root)
        if found and found["state"] == "Invalid":
            raise ProvenanceError(f"{path.name} was changed after it was signed ({', '.join(found['failures'])}); use the original file.")

    def marked(self, frames: Iterable[Tensor], story: Story, *, visible: bool = False) -> Iterator[Tensor]:
        """The frames [h, w, 3] uint8 with the invisible mark of this job, and a visible one where wished, one by one."""
        from misora.trust import coding, watermark

        shown = watermark.badged(frames) if visible else frames
        return watermark.marked(shown, self.credentials.mark_key, coding.payload_of(story.job))

    @contextlib.contextmanager
    def sealing(self, target: Path, story: Story) -> Iterator[Path]:
        """Yield a hidden place to write the unsigned file to; at the end it is signed into ``target`` and removed."""
        unsigned = target.with_name(f".{target.stem[:64]}.{secrets.token_hex(4)}.unsigned{target.suffix}")
        try:
            yield unsigned
            self.sign(unsigned, target, story)
        finally:
            unsigned.unlink(missing_ok=True)


def manifest(story: Story, title: str, kind: str) -> dict[str, Any]:
    """The manifest before ingredients and signature: ``created``, or ``opened`` and ``edited``; other clips are ``placed``."""
    agent = {"name": "Misora", "version": _version()}
    source = TRAINED if not story.parents else COMPOSITE
    if story.parents:
        actions: list[dict[str, Any]] = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent-0"]}}]
        actions += [
            {"action": "c2pa.placed", "parameters": {"ingredientIds": [f"parent-{place}"]}} for place in range(1, len(story.parents))
        ]
        actions.append({"action": "c2pa.edited", "digitalSourceType": source, "softwareAgent": agent})
    else:
        actions = [{"action": "c2pa.created", "digitalSourceType": source, "softwareAgent": agent}]
        if story.inputs:
            actions[0]["parameters"] = {"ingredientIds": [f"input-{place}" for place in range(len(story.inputs))]}
    job = {"job": story.job, "prompt_sha256": prompt_hash(story.prompt)}
    assertions = [{"label": "c2pa.actions.v2", "data": {"actions": actions}}, {"label": JOB, "data": job}]
    return {"claim_generator_info": [agent], "title": title, "format": kind, "assertions": assertions}


def read(path: Path, anchors: str = "") -> dict[str, Any] | None:
    """What a file's manifest says, or None where it has none that can be found. Raises MissingExtraError, MediaError.

    ``state`` is Trusted (valid, from ``anchors``), Valid (unchanged, from a signer we do not know) or Invalid, with ``failures``.
    """
    c2pa = _library()
    kind = TYPES.get(sniff(path))
    if kind is None:
        return None
    try:
        with path.open("rb") as file, c2pa.Reader(kind, file, context=c2pa.Context.from_dict(_settings(anchors))) as reader:
            return _told(json.loads(reader.json()), reader.get_validation_state())
    except c2pa.C2paError as error:
        if "ManifestNotFound" in str(error):
            return None
        return {
            "state": "Invalid",
            "failures": [str(error).split(":")[0]],
            "signer": "",
            "issuer": "",
            "job": {},
            "actions": [],
            "source": "",
        }
    except (OSError, ValueError) as error:
        raise MediaError(f"{path.name} cannot be read ({error}); give the file as it was downloaded.") from None


def _told(store: dict[str, Any], state: str) -> dict[str, Any]:
    active = store["manifests"][store["active_manifest"]]
    assertions = {assertion["label"]: assertion["data"] for assertion in active.get("assertions", ())}
    actions = assertions.get("c2pa.actions.v2", assertions.get("c2pa.actions", {})).get("actions", [])
    results = store.get("validation_results", {}).get("activeManifest", {})
    signature = active.get("signature_info", {})
    return {
        "state": state,
        "failures": [failure["code"] for failure in results.get("failure", ()) if failure["code"] != "signingCredential.untrusted"],
        "signer": signature.get("common_name", ""),
        "issuer": signature.get("issuer", ""),
        "job": assertions.get(JOB, {}),
        "actions": [action["action"] for action in actions],
        "source": next((str(action["digitalSourceType"]) for action in actions if "digitalSourceType" in action), ""),
        "ingredients": [ingredient.get("relationship", "") for ingredient in active.get("ingredients", ())],
    }


def _ingredients(story: Story) -> Iterator[tuple[dict[str, str], Path]]:
    for place, path in enumerate(story.parents):
        yield {"title": path.name, "relationship": "componentOf" if place else "parentOf", "label": f"parent-{place}"}, path
    for place, path in enumerate(story.inputs):
        yield {"title": path.name, "relationship": "inputTo", "label": f"input-{place}"}, path


def _add(builder: Any, ingredient: dict[str, str], path: Path) -> None:
    with path.open("rb") as file:
        builder.add_ingredient(ingredient, TYPES.get(sniff(path), "application/octet-stream"), file)


def _settings(anchors: str) -> dict[str, Any]:
    return {"verify": {"verify_trust": True, "remote_manifest_fetch": False}} | ({"trust": {"trust_anchors": anchors}} if anchors else {})


def _algorithm(key: bytes) -> bytes:
    """The name of the signature that a private key (PEM) makes."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        loaded = load_pem_private_key(key, None)
    except (ValueError, TypeError):
        raise ProvenanceError("The private key cannot be read; give an unencrypted PEM file.") from None
    if isinstance(loaded, ec.EllipticCurvePrivateKey):
        return {256: b"es256", 384: b"es384", 521: b"es512"}[loaded.curve.key_size]
    return b"ed25519" if isinstance(loaded, ed25519.Ed25519PrivateKey) else b"ps256"


@functools.cache
def _version() -> str:
    import misora

    return misora.__version__


def _library() -> Any:
    if not available():
        raise MissingExtraError("Signing and reading signatures need more than the core; install misora[sign].")
    import c2pa

    return c2pa
