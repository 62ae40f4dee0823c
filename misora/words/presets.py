"""Named looks and camera moves as parts of a prompt, in both languages; it knows nothing of what a network makes of them.

The names are documented in docs/verbs.md. The embedded weights were trained on these very phrases; other weights read them as plain words.
"""

from __future__ import annotations

import re

JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")

STYLES = {  # name: (English, Japanese)
    "realistic": ("in a realistic style", "写実的に"),
    "cartoon": ("in a cartoon style", "アニメ風に"),
    "claymation": ("in a clay style", "粘土風に"),
    "archival": ("in black and white", "白黒で"),
    "film-noir": ("in black and white, at night", "夜に、白黒で"),
    "golden-hour": ("in a realistic style, at sunset", "夕方に、写実的に"),
    "night": ("in a realistic style, at night", "夜に、写実的に"),
    "winter": ("on snow, in daylight", "昼間に、雪の上で"),
    "beach": ("on sand, in daylight", "昼間に、砂の上で"),
    "cardboard": ("in a clay style, on a plain floor", "粘土風に、無地の床で"),
}
CAMERAS = {
    "still": ("with a still camera", "カメラは動かない"),
    "pan left": ("as the camera pans to the left", "カメラが左へパンする"),
    "pan right": ("as the camera pans to the right", "カメラが右へパンする"),
    "zoom in": ("as the camera zooms in", "カメラがズームインする"),
    "zoom out": ("as the camera zooms out", "カメラがズームアウトする"),
    "orbit left": ("as the camera orbits left", "カメラが左へ回り込む"),
    "orbit right": ("as the camera orbits right", "カメラが右へ回り込む"),
}


def dressed(prompt: str, *, style: str | None = None, camera: str | None = None) -> str:
    """The prompt with a named style, or KeyError, and a camera move: a named one, or the words as they are."""
    column = 1 if JAPANESE.search(prompt) else 0
    parts = [STYLES[style][column]] if style else []
    if camera:
        name = camera.strip().lower().replace("-", " ").replace("_", " ")
        parts.append(CAMERAS[name][column] if name in CAMERAS else camera.strip())
    if not parts:
        return prompt
    told = prompt.strip().rstrip(".。 ")
    return "。".join([told, *parts]) + "。" if column else ", ".join([told, *parts])
