"""The named sizes of the transformer, ours and those of the open Wan weights; it knows nothing of the weights themselves."""

from __future__ import annotations

from misora.model.transformer import TransformerConfig
from misora.model.wan_config import wan

SIZES = {
    "tiny": TransformerConfig(width=64, depth=2, heads=2, hidden=128, skip=True),  # tests
    "small": TransformerConfig(width=384, depth=6, heads=4, hidden=1536, skip=True),  # 15.6 M: the weights in the package
    "base": TransformerConfig(width=480, depth=6, heads=5, hidden=1920, skip=True),  # 24 M
    "wan2.1-t2v-1.3b": wan(width=1536, depth=30, heads=12, hidden=8960, channels=16),
    "wan2.1-t2v-14b": wan(width=5120, depth=40, heads=40, hidden=13824, channels=16),
    "wan2.2-ti2v-5b": wan(width=3072, depth=30, heads=24, hidden=14336, channels=48),
}
