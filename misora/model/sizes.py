"""The named sizes of the transformer, ours and those of the open Wan weights; it knows nothing of the weights themselves."""

from __future__ import annotations

from misora.model.transformer import TransformerConfig


def _wan(width: int, depth: int, heads: int, hidden: int, channels: int) -> TransformerConfig:
    return TransformerConfig(
        width=width,
        depth=depth,
        heads=heads,
        hidden=hidden,
        text_width=4096,
        channels=channels,
        prediction="velocity",
        activation="gelu",
        bias=True,
        position_grid=0,
    )


SIZES = {
    "tiny": TransformerConfig(width=64, depth=2, heads=2, hidden=128),  # tests
    "small": TransformerConfig(width=384, depth=6, heads=4, hidden=1536),  # 15.6 M: the weights in the package
    "base": TransformerConfig(width=480, depth=6, heads=5, hidden=1920),  # 24 M
    "wan2.1-t2v-1.3b": _wan(1536, 30, 12, 8960, 16),
    "wan2.1-t2v-14b": _wan(5120, 40, 40, 13824, 16),
    "wan2.2-ti2v-5b": _wan(3072, 30, 24, 14336, 48),
}
