"""A prompt made fuller: by rules, by a chat endpoint that somebody else runs, or by a local language model; it knows nothing of video."""

from __future__ import annotations

import importlib
import json
import urllib.error
import urllib.request
from typing import Any

from misora.client.errors import GenerationError, MissingExtraError, UsageError
from misora.words.enhance import enhanced
from misora.words.presets import STYLES, dressed

SYSTEM = (
    "You write prompts for a video model. Rewrite the user's prompt as one or two plain sentences in its own language: keep everything it "
    "says, add what it leaves open (ground, light, camera), invent no further objects. Answer with the prompt alone."
)
SECONDS = 30.0  # for an endpoint to answer
LONGEST = 2000  # characters of an answer


def fuller(
    prompt: str,
    *,
    style: str | None = None,
    camera: str | None = None,
    enhance: bool = False,
    enhance_with: str | None = None,
    seed: int = 0,
    key: str = "",
) -> tuple[str, str]:
    """The prompt with its style, its camera and whatever expands it; and as it was asked where it was expanded, else empty.

    Raises UsageError, GenerationError, MissingExtraError.
    """
    if style is not None and style not in STYLES:
        raise UsageError(f"The style {style!r} is not known; choose {', '.join(STYLES)}.")
    worn = dressed(prompt, style=style, camera=camera)
    return (expand(worn, enhance_with, seed=seed, key=key), prompt) if enhance or enhance_with else (worn, "")


def expand(prompt: str, by: str | None = None, *, seed: int = 0, key: str = "") -> str:
    """The prompt expanded by rules (``by`` None), by the endpoint at a URL, or by the local ``transformers`` model of that name.

    Raises UsageError, GenerationError, MissingExtraError.
    """
    if by is None:
        return enhanced(prompt, seed)
    told = _by_endpoint(prompt, by, key, seed) if by.startswith(("http://", "https://")) else _by_model(prompt, by)
    told = " ".join(told.split())
    if not told or len(told) > LONGEST:
        raise GenerationError("The prompt could not be expanded (the answer is empty or too long); leave --enhance-with out, or try again.")
    return told


def _by_endpoint(prompt: str, url: str, key: str, seed: int) -> str:
    """One chat completion. ``url`` ends in the version (…/v1), and may name a model behind a ``#``."""
    base, _, model = url.partition("#")
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
    body = json.dumps({"model": model or "default", "messages": messages, "temperature": 0.7, "seed": seed}).encode()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(f"{base.rstrip('/')}/chat/completions", data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return str(json.loads(answer.read(1_000_000))["choices"][0]["message"]["content"])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        reason = f"{error.code} {error.reason}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        raise GenerationError(f"The endpoint {base} did not expand the prompt ({reason}); check the URL, or use --enhance alone.") from None


def _by_model(prompt: str, name: str) -> str:
    """The answer of a local chat model; ``transformers`` must be installed and the model be there."""
    try:
        library: Any = importlib.import_module("transformers")
    except ImportError:
        raise MissingExtraError("A local model needs one more package; run `pip install transformers`.") from None
    try:
        words, model = (kind.from_pretrained(name, local_files_only=True) for kind in (library.AutoTokenizer, library.AutoModelForCausalLM))
        chat = library.pipeline("text-generation", model=model, tokenizer=words)  # told that files are local it would tell the model too
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
        return str(chat(messages, max_new_tokens=200, do_sample=False)[0]["generated_text"][-1]["content"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        raise UsageError(f"There is no chat model {name!r} here; give a URL, or the name of a model that was downloaded.") from None
