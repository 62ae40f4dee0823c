"""diffusers' transformer beside ours, on the same random weights where both are Wan's; it knows nothing of clocks or prompts."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from misora.client.errors import MissingExtraError
from misora.model import card, hub, wan_keys
from misora.model.heard import Heard
from misora.model.linear import reorder
from misora.model.transformer import Transformer, TransformerConfig
from misora.model.wan import EXACT, adopt

WORDS = {True: 512, False: 32}  # tokens of a text
LEVEL = 0.7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
    """What one forward is given; ``level`` is one a clip [b] or each token's own [b, t, h, w]."""

    x: Tensor  # b c t h w
    level: Tensor
    text: Tensor  # b l d

    @property
    def tokens(self) -> int:
        """How many a clip has."""
        return self.x[0, 0].numel() // 4

    def flops(self, config: TransformerConfig) -> float:
        """Multiplications and additions of a forward over it."""
        return flops(config, len(self.x), self.tokens, self.text.shape[1])


def is_wan(config: TransformerConfig) -> bool:
    """Whether diffusers' class can hold the very same weights."""
    return not config.position_grid and config.activation == "gelu"


def grid(config: TransformerConfig) -> tuple[int, int]:
    """Rows and columns of tokens of a latent frame: ours at 176x96, Wan's at 832x480, those with 48 channels at 1280x704."""
    if not is_wan(config):
        return 6, 11
    return (22, 40) if config.channels == 48 else (30, 52)


def given(config: TransformerConfig, tokens: int, *, batch: int = 1, per_token: bool = False, device: str = "cpu") -> Given:
    """Random latents of about so many tokens; with ``per_token`` the first frame is clean."""
    rows, columns = grid(config)
    frames = max(1, round(tokens / (rows * columns)))
    rows = rows if tokens >= rows * columns else max(1, tokens // columns)
    x = torch.randn(batch, config.channels + config.given_channels, frames, 2 * rows, 2 * columns)  # b c t h w
    level = torch.full((batch, frames, rows, columns), LEVEL)  # b t h w
    level[:, 0] *= 1 - per_token
    text = torch.randn(batch, WORDS[is_wan(config)], config.text_width)  # b l d
    return Given(x=x.to(device), level=(level if per_token else level[:, 0, 0, 0]).to(device), text=text.to(device))


def flops(config: TransformerConfig, batch: int, tokens: int, words: int) -> float:
    """Multiplications and additions of one forward: matrices and attention of the blocks, nothing else."""
    d = config.width
    matrices = 2 * tokens * (6 * d * d + 2 * d * config.hidden) + 4 * words * d * d
    return float(batch * config.depth * (matrices + 4 * tokens * (tokens + words) * d))


def weight_bytes(config: TransformerConfig, dtype: torch.dtype) -> int:
    """What one forward must read of the blocks' matrices."""
    return config.depth * (8 * config.width**2 + 2 * config.width * config.hidden) * dtype.itemsize


def theirs(config: TransformerConfig) -> Any:
    """diffusers' transformer of a shape, random, in float32. Raises MissingExtraError."""
    try:
        diffusers = hub.extra("diffusers")
    except MissingExtraError as error:
        raise MissingExtraError("The peer is not installed; `pip install 'misora[wan]'`, or leave --peer out.") from error
    network = diffusers.WanTransformer3DModel(
        num_attention_heads=config.heads,
        attention_head_dim=config.width // config.heads,
        in_channels=config.channels + config.given_channels,
        out_channels=config.channels,
        text_dim=config.text_width,
        ffn_dim=config.hidden,
        num_layers=config.depth,
    )
    return network.eval().requires_grad_(False)


def ours_of(network: Any, config: TransformerConfig, dtype: torch.dtype) -> Transformer:
    """Our transformer with the weights of theirs."""
    state = network.state_dict()
    return adopt(config, wan_keys.tensors(config.depth, "diffusers"), {name: name for name in state}, state, "the peer", dtype)


def random(config: TransformerConfig, dtype: torch.dtype) -> Transformer:
    """Our transformer of a shape, every matrix random; norms and modulation of Wan's stay float32, as its loader leaves them."""
    network = Transformer(config).eval().requires_grad_(False)
    for name, weight in network.named_parameters():
        if weight.ndim > 1 and not weight.any():
            weight.normal_(std=0.02)
        if not (is_wan(config) and any(word in name for word in EXACT)):
            weight.data = weight.data.to(dtype)
    return network


def readied(network: Transformer) -> Transformer:
    """As it runs fastest with the same results: matrices reordered on a processor, blocks compiled on a card."""
    if next(network.parameters()).device.type == "cpu":
        reorder(network.blocks)
    else:
        for block in network.blocks:
            block.compile()
    return network


def lowered(network: Any, dtype: torch.dtype) -> Any:
    """Theirs in ``dtype``; what their own loader keeps in float32 stays so."""
    kept = tuple(network._keep_in_fp32_modules or ())
    for name, weight in network.named_parameters():
        if not any(word in name for word in kept):
            weight.data = weight.data.to(dtype)
    return network


def call_ours(network: Transformer, given: Given, heard: Heard | None = None) -> Tensor:
    """One forward of ours; with ``heard`` as a later step of sampling makes it."""
    batch, frames = len(given.x), given.x.shape[2]
    marks = torch.zeros(batch, frames, dtype=torch.long, device=given.x.device)
    times = torch.arange(float(frames), device=given.x.device).expand(batch, -1)  # b t
    level = given.level[:, None].expand(-1, frames) if given.level.ndim == 1 else given.level[:, :, 0, 0]  # a frame's tokens share theirs
    with card.best_attention(given.x.device):
        return network(given.x, level, given.text, marks, times, marks, None, heard)  # type: ignore[no-any-return]


def call_theirs(network: Any, given: Given) -> Tensor:
    """One forward of diffusers'."""
    dtype = network.patch_embedding.weight.dtype
    level = given.level.flatten(1) if given.level.ndim > 1 else given.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return network(given.x.to(dtype), level * 1000, given.text.to(dtype)).sample.float()  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Match:
    """Forwards to be timed by who makes them, and what both should make, where both hold the same weights."""

    networks: tuple[Any, ...]
    calls: dict[str, Callable[[], Tensor]]
    wanted: Tensor | None = None

    def error(self, made: Tensor) -> float | None:
        """How far off ``made`` is, relative to the whole."""
        return None if self.wanted is None else float((made.float() - self.wanted).norm() / self.wanted.norm())


def alone(config: TransformerConfig, dtype: torch.dtype, given: Given) -> Match:
    """Ours on random weights."""
    network, heard = readied(random(config, dtype).to(given.x.device)), Heard()
    return Match(networks=(network,), calls={"ours": lambda: call_ours(network, given, heard)})


def paired(config: TransformerConfig, dtype: torch.dtype, given: Given) -> Match:
    """Ours and diffusers': of Wan's shapes with the same weights, beside its own result in float32. Raises MissingExtraError."""
    network, device = theirs(config), given.x.device
    if not is_wan(config):
        ours, wanted = random(config, dtype), None
    else:
        wanted = call_theirs(network.to(device), given)
        ours = ours_of(network, config, dtype)
    network, ours = lowered(network, dtype).to(device), readied(ours.to(device))
    heard = Heard()
    calls = {"ours": lambda: call_ours(ours, given, heard), "diffusers": lambda: call_theirs(network, given)}
    return Match(networks=(ours, network), calls=calls, wanted=wanted)
