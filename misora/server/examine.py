"""The process that says of a file whether it was made here; it knows nothing of who asks.

``python -m misora.server.examine FILE SIGNING quick|thorough`` writes one line of JSON; SIGNING is the folder of our certificates.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from misora.client.errors import MisoraError
from misora.media.child import _confine
from misora.media.limits import LIMITS


def examine(path: Path, signing: Path, *, thorough: bool) -> dict[str, object]:
    """The report on the file, or what is wrong with it."""
    from misora.trust import authority
    from misora.trust.verify import verify

    try:
        ours = authority.open_authority(signing)
        report = verify(path, anchors=ours.anchors, mark_key=ours.mark_key, thorough=thorough)
    except MisoraError as error:
        return {"error": str(error).replace(path.name, "the file")}
    return dataclasses.asdict(report)


if __name__ == "__main__":
    _confine(dataclasses.replace(LIMITS, child_seconds=240, child_bytes=12_000_000_000))
    print(json.dumps(examine(Path(sys.argv[1]), Path(sys.argv[2]), thorough=sys.argv[3] == "thorough")))
