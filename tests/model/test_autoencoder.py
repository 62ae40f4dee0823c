"""The autoencoder's laws: causal, cut at every S, streamed = tiled = whole, equal to the slow twin."""

from __future__ import annotations

import pytest
import torch

from misora.model.autoencoder import HALO, SPACE, Autoencoder, AutoencoderConfig, pixel_frames
from tests.reference import autoencoder as slow

KINDS = ("S", "SG", "SGSGG", "SSG", "GG")


@pytest.fixture
def network() -> Autoencoder:
    torch.manual_seed(0)
    network = Autoencoder(AutoencoderConfig(channels=4, near=8, deep=8, frame=8, frame_blocks=2))
    for weight in network.parameters():  # nothing may rest on weights that start at zero
        torch.nn.init.normal_(weight, std=0.15)
    torch.nn.init.normal_(network.latent_mean)
    torch.nn.init.uniform_(network.latent_std, 0.5, 2.0)
    return network.requires_grad_(False)


def frames_for(kinds: str, *, height: int = 32, width: int = 48) -> torch.Tensor:
    return torch.rand(2, 3, pixel_frames(kinds), height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("kinds", [k for k in KINDS if k[0] == "S"])
def test_it_equals_its_slow_twin(network: Autoencoder, kinds: str) -> None:
    frames = frames_for(kinds)
    latents = network.encode(frames, kinds)
    assert latents.shape == (2, 4, len(kinds), 4, 6)
    torch.testing.assert_close(latents, slow.encode(network, frames, kinds), rtol=1e-5, atol=1e-5)
    made = network.decode(latents, kinds)
    assert made.shape == frames.shape
    torch.testing.assert_close(made, slow.decode(network, latents, kinds), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kinds", KINDS)
def test_streamed_is_whole(network: Autoencoder, kinds: str) -> None:
    latents = torch.randn(1, 4, len(kinds), 4, 6)
    pieces = list(network.decode_stream(latents, kinds))
    assert [piece.shape[2] for piece in pieces] == [pixel_frames(kind) for kind in kinds]
    torch.testing.assert_close(torch.cat(pieces, 2), network.decode(latents, kinds), rtol=0, atol=1e-4)


@pytest.mark.parametrize("tile", [5, 16])
def test_tiled_is_whole(network: Autoencoder, tile: int) -> None:
    latents = torch.randn(1, 4, 3, 21, 37)
    torch.testing.assert_close(network.decode_tiled(latents, "SGG", tile=tile), network.decode(latents, "SGG"), rtol=0, atol=1e-4)


def test_beyond_the_halo_nothing_is_felt(network: Autoencoder) -> None:
    latents = torch.randn(1, 4, 3, 1, HALO + 2)
    for cell, felt in ((HALO, True), (HALO + 1, False)):
        changed = latents.clone()
        changed[..., cell] += 1
        first = [network.decode(x, "SGG")[..., :SPACE] for x in (latents, changed)]
        assert torch.equal(*first) != felt


def test_the_past_never_sees_the_future(network: Autoencoder) -> None:
    frames = frames_for("SGG")
    changed = frames.clone()
    changed[:, :, 5:] += 1
    torch.testing.assert_close(network.encode(frames, "SGG")[:, :, :2], network.encode(changed, "SGG")[:, :, :2], rtol=0, atol=0)
    latents = torch.randn(1, 4, 3, 4, 6)
    made, other = network.decode(latents, "SGG"), network.decode(torch.cat((latents[:, :, :2], -latents[:, :, 2:]), 2), "SGG")
    torch.testing.assert_close(made[:, :, :5], other[:, :, :5], rtol=0, atol=0)
    assert not torch.equal(made[:, :, 5:], other[:, :, 5:])


def test_a_single_frame_cuts_the_past_off(network: Autoencoder) -> None:
    frames = frames_for("SGSG")
    whole = network.encode(frames, "SGSG")
    torch.testing.assert_close(whole[:, :, 2:], network.encode(frames[:, :, 5:], "SG"), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network.decode(whole, "SGSG")[:, :, 5:], network.decode(whole[:, :, 2:], "SG"), rtol=1e-5, atol=1e-5)


def test_a_group_leans_on_its_past(network: Autoencoder) -> None:
    latents = torch.randn(1, 4, 2, 4, 6)
    other = torch.cat((-latents[:, :, :1], latents[:, :, 1:]), 2)
    assert not torch.equal(network.decode(latents, "SG")[:, :, 1:], network.decode(other, "SG")[:, :, 1:])


def test_latents_are_named_after_their_encoder_alone(network: Autoencoder) -> None:
    name = network.code()
    torch.nn.init.zeros_(next(network.decoder.parameters()))
    assert network.code() == name
    torch.nn.init.zeros_(network.encoder.out.weight)
    assert network.code() != name


def test_it_stays_inside_its_budget() -> None:
    assert sum(p.numel() for p in Autoencoder(AutoencoderConfig()).parameters()) <= 5_000_000


def test_four_frames_to_a_group() -> None:
    assert pixel_frames("S" + "G" * 12) == 49
    assert pixel_frames("SGSG") == 10
