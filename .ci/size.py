"""Megabytes of the core install beside torch and what only torch needs; fails above the limit. It knows nothing of what it weighs."""

from __future__ import annotations

import re
import sys
from importlib import metadata

LIMIT_MB = 150.0
NOT_OURS = {"pip", "setuptools", "torch"}


def needed(root: str) -> set[str]:
    """``root`` and every installed distribution that it needs without extras."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = re.split(r"[^\w.-]", waiting.pop(), maxsplit=1)[0].lower().replace("_", "-")
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        if name not in found:
            found.add(name)
            waiting += [line for line in requirements if "extra ==" not in line]
    return found


def megabytes(name: str) -> float:
    """Size on disk of one distribution, compiled bytecode included."""
    files = metadata.files(name) or []
    return sum(path.stat().st_size for path in (file.locate() for file in files) if path.is_file()) / 1e6  # type: ignore[attr-defined]


def main() -> int:
    """Print the table; 1 when the sum is over the limit."""
    ours = {"misora", "av", "safetensors", "rich"}
    for direct in sorted(ours - {"misora"}):
        ours |= needed(direct)
    foreign = {d.metadata["Name"].lower().replace("_", "-") for d in metadata.distributions()} - ours - needed("torch") - NOT_OURS
    if foreign:
        print("not expected in the core install:", ", ".join(sorted(foreign)))
    weights = {name: megabytes(name) for name in sorted(ours | foreign)}
    for name, size in sorted(weights.items(), key=lambda item: -item[1]):
        print(f"{size:8.1f} MB  {name}")
    total = sum(weights.values())
    print(f"{total:8.1f} MB  together, beside torch (limit {LIMIT_MB:.0f})")
    return int(total > LIMIT_MB or bool(foreign))


if __name__ == "__main__":
    sys.exit(main())
