"""The transformer's slow twin: one clip, one token, one head at a time, in float32, with every token's modulation written out."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from misora.model.transformer import Transformer


def forward(network: Transformer, x: Tensor, level: Tensor, text: Tensor, kinds: Tensor, times: Tensor, roles: Tensor) -> Tensor:
    """As ``Transformer.forward`` with a noise level for every token [b, t, h/2, w/2]."""
    clips = [_clip(network, x[i], level[i], text[i], kinds[i], times[i], roles[i]) for i in range(len(x))]
    return torch.stack(clips)


def _clip(network: Transformer, x: Tensor, level: Tensor, text: Tensor, kinds: Tensor, times: Tensor, roles: Tensor) -> Tensor:
    _, frames, height, width = x.shape
    places = [(t, i, j) for t in range(frames) for i in range(height // 2) for j in range(width // 2)]
    tokens = torch.stack([_token(network, x, kinds, roles, place) for place in places])  # n d
    noise = torch.stack([network.noise(_noise_features(float(level[place]))) for place in places])  # n d
    modulation = network.noise_table(torch.nn.functional.silu(noise)).reshape(len(places), 6, -1)  # n 6 d
    words = network.text(text)  # l d, or each frame's own: t l d
    spoken = [words[t] if words.ndim == 3 else words for t, _, _ in places]  # l d for each token
    positions = [(float(times[t]), float(i), float(j)) for t, i, j in places]
    for block in network.blocks:
        own = modulation + block.modulation  # n 6 d
        y = _layer_norm(tokens) * (1 + own[:, 1]) + own[:, 0]
        tokens = tokens + own[:, 2] * _self_attention(block.attention, y, positions)
        asking = _layer_norm(tokens) * block.norm2.weight  # n d
        tokens = tokens + torch.cat([_cross_attention(block.cross, asking[i : i + 1], own) for i, own in enumerate(spoken)])
        y = _layer_norm(tokens) * (1 + own[:, 4]) + own[:, 3]
        tokens = tokens + own[:, 5] * block.ffn.down(block.ffn.up(y).clamp_min(0) ** 2)
    tokens = _layer_norm(tokens) * (1 + noise + network.head_modulation[1]) + noise + network.head_modulation[0]
    gates = network.skip(torch.nn.functional.silu(noise)) if network.skip is not None else torch.zeros(len(places), 4 * x.shape[0])  # n 4c
    out = torch.zeros_like(x)
    for (t, i, j), made, gate in zip(places, network.head(tokens), gates, strict=True):
        spot = slice(None), t, slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2)
        out[spot] = made.reshape(-1, 2, 2) + gate.reshape(-1, 2, 2) * x[spot]
    return out


def _token(network: Transformer, x: Tensor, kinds: Tensor, roles: Tensor, place: tuple[int, int, int]) -> Tensor:
    t, i, j = place
    patch = x[:, t, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(-1)
    token = network.patch(patch) + network.kind[kinds[t]] + roles[t] * network.role
    assert network.position is not None
    side = network.position.shape[0]
    row = (i + 0.5) / (x.shape[2] // 2) * (side - 1)
    column = (j + 0.5) / (x.shape[3] // 2) * (side - 1)
    for r in (math.floor(row), math.floor(row) + 1):
        for c in (math.floor(column), math.floor(column) + 1):
            share = (1 - abs(row - r)) * (1 - abs(column - c))
            token = token + (share * network.position[r, c] if share > 0 else 0)
    return token


def _noise_features(level: float) -> Tensor:
    rates = [10_000 ** (-k / 128) for k in range(128)]
    angles = [1000 * level * rate for rate in rates]
    return torch.tensor([math.cos(a) for a in angles] + [math.sin(a) for a in angles])


def _layer_norm(x: Tensor) -> Tensor:
    mean = x.mean(dim=-1, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()


def _rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt() * weight


def _rotate(vector: Tensor, position: tuple[float, float, float]) -> Tensor:
    """One head's vector; pair k is (k, k + half), and the pairs go to time, rows and columns in turn."""
    half = len(vector) // 2
    spatial = len(vector) // 6
    out = vector.clone()
    k = 0
    for value, pairs in zip(position, (half - 2 * spatial, spatial, spatial), strict=True):
        for p in range(pairs):
            angle = value * 10_000 ** (-p / pairs)
            a, b = vector[k], vector[k + half]
            out[k] = a * math.cos(angle) - b * math.sin(angle)
            out[k + half] = a * math.sin(angle) + b * math.cos(angle)
            k += 1
    return out


def _self_attention(layer: torch.nn.Module, x: Tensor, positions: list[tuple[float, float, float]]) -> Tensor:
    width = x.shape[1]
    q, k, v = (x @ layer.qkv.weight[i * width : (i + 1) * width].T for i in range(3))
    q, k = _rms_norm(q, layer.norm_q.weight), _rms_norm(k, layer.norm_k.weight)
    head = width // layer.heads
    mixed = []
    for h in range(layer.heads):
        part = slice(h * head, (h + 1) * head)
        turned_q = torch.stack([_rotate(row, place) for row, place in zip(q[:, part], positions, strict=True)])
        turned_k = torch.stack([_rotate(row, place) for row, place in zip(k[:, part], positions, strict=True)])
        mixed.append(_attend(turned_q, turned_k, v[:, part]))
    return layer.out(torch.cat(mixed, dim=1))


def _cross_attention(layer: torch.nn.Module, x: Tensor, words: Tensor) -> Tensor:
    width = x.shape[1]
    q = _rms_norm(layer.q(x), layer.norm_q.weight)
    k, v = words @ layer.kv.weight[:width].T, words @ layer.kv.weight[width:].T
    k = _rms_norm(k, layer.norm_k.weight)
    head = width // layer.heads
    parts = [slice(h * head, (h + 1) * head) for h in range(layer.heads)]
    return layer.out(torch.cat([_attend(q[:, part], k[:, part], v[:, part]) for part in parts], dim=1))


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    rows = []
    for query in q:
        scores = (k @ query / math.sqrt(len(query))).exp()
        rows.append((scores / scores.sum()) @ v)
    return torch.stack(rows)
