"""Laws of the original files: the same networks under other names; UMT5 is transformers' own; blocks that come and go change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from misora.client.errors import CheckpointError
from misora.model import packed, wan_pixels_keys
from misora.model.blocks import Blocks
from misora.model.packed import PackedLinear
from misora.model.umt5 import Umt5, buckets
from misora.model.wan import Source, load_transformer, open_transformer
from misora.model.wan_parts import part_of, tokenizer_of
from misora.model.wan_pixels import load_pixels
from misora.model.wan_text import WanText
from tests import wan
from tests.model.test_wan import _distance, _inputs, _ours, _theirs


@pytest.fixture(scope="module", params=["wan2.1", "wan2.2"])
def peer(request: pytest.FixtureRequest) -> Any:
    return wan.pipeline(request.param)


@pytest.fixture(scope="module")
def folder(peer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wan.save_original(peer, tmp_path_factory.mktemp("original"))


def test_a_folder_of_original_files_is_read_as_diffusers_reads_its_own(peer: Any, folder: Path, tmp_path: Path) -> None:
    ours = load_transformer(folder)
    x = torch.randn(1, ours.config.channels, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    level, text = torch.tensor([0.6]), torch.randn(1, 5, wan.TEXT, generator=torch.Generator().manual_seed(2))
    assert _distance(_ours(ours, x, level[:, None].expand(-1, 2), text), _theirs(peer.transformer, x, level, text)) < 1e-5
    pixels = load_pixels(folder)
    latents = torch.randn(1, pixels.channels, 2, 2, 2, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        wanted = peer.vae.decode(latents * pixels.std + pixels.mean, return_dict=False)[0]
        read = peer.vae.encode(wanted).latent_dist.mode()
    assert _distance(pixels.decode(latents, "SG"), wanted) < 1e-5
    assert _distance(pixels.encode(wanted, "SG"), (read - pixels.mean) / pixels.std) < 1e-4
    assert torch.equal(pixels.mean.flatten(), torch.tensor(peer.vae.config.latents_mean))
    told = WanText(folder).encode(["a red ball"])
    with wan.silence():
        peer.text_encoder.save_pretrained(tmp_path / "text_encoder")
        peer.tokenizer.save_pretrained(tmp_path / "tokenizer")
    assert torch.equal(WanText(tmp_path).encode(["a red ball"]), told)


def test_the_original_autoencoder_s_names_are_what_diffusers_says_they_are() -> None:
    from diffusers import AutoencoderKLWan
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    with wan.silence(), torch.device("meta"):
        network = AutoencoderKLWan(base_dim=4)  # the number of blocks that the real one has
    names = wan.original_pixel_names(network.config)
    state = {name: name.rpartition(".") for name in network.state_dict()}
    theirs = {ours: original for original, ours in names.items()}
    originals = {f"{theirs[path]}.{last}": name for name, (path, _, last) in state.items()}
    assert convert_wan_vae_to_diffusers(dict(originals)) == {name: name for name in state}
    assert {wan_pixels_keys.renamed(original, 2): name for original, name in originals.items()} == {name: name for name in state}


def test_umt5_is_transformers_own(tmp_path: Path) -> None:
    _, encoder = wan.text_encoder()
    encoder.save_pretrained(tmp_path / "theirs")
    (tmp_path / "original").mkdir()
    save_file(wan.original_text_names(encoder.state_dict()), tmp_path / "original" / "umt5.safetensors")
    tokens = torch.randint(0, 10, (200,), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = encoder(tokens[None], torch.ones(1, 200, dtype=torch.long)).last_hidden_state[0]
    for name in ("theirs", "original"):
        ours = Umt5(tmp_path / name, [next((tmp_path / name).glob("*.safetensors"))], torch.float32)
        assert _distance(ours(tokens.tolist()), wanted) < 1e-5
    with pytest.raises(CheckpointError, match="words that the encoder lacks"):
        ours([99])


def test_distances_are_sorted_into_kinds_as_t5_has_them() -> None:
    from transformers.models.umt5.modeling_umt5 import UMT5Attention

    place = torch.arange(300)
    self: Any = type("T5", (), {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "is_decoder": False})
    assert torch.equal(buckets(300, 32), UMT5Attention._relative_position_bucket(self, place[None] - place[:, None]))


def test_blocks_that_come_and_go_make_what_blocks_that_stay_make(tmp_path: Path) -> None:
    folder = wan.save(wan.transformer(), tmp_path / "model")
    passing = open_transformer(Source(part_of(folder, "transformer")), torch.device("cpu"))
    x, level, text = _inputs("t2v")
    level = level[:, None].expand(-1, x.shape[2])
    wanted = _ours(load_transformer(folder), x, level, text)
    assert torch.equal(_ours(passing, x, level, text), wanted)
    assert isinstance(passing.blocks, Blocks) and not len(passing.blocks.held)
    passing.blocks.hold()
    assert torch.equal(_ours(passing, x, level, text), wanted) and len(passing.blocks.held) == wan.DEPTH


def test_no_more_than_two_blocks_are_there_at_a_time() -> None:
    import weakref

    alive: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    most = []

    def make(i: int) -> nn.Module:
        block = nn.Linear(2, 2)
        alive.add(block)
        most.append(len(alive))
        return block

    for _ in Blocks(make, 6):
        pass
    del _
    assert max(most) <= 3  # one at work, one waiting, and the name of the last one


@pytest.mark.parametrize("kind, far", [("int8", 0.02), ("fp8", 0.08)])
def test_bytes_for_matrices_are_nearly_the_same(tmp_path: Path, kind: str, far: float) -> None:
    folder = wan.save(wan.transformer(heads=1, head=128), tmp_path / "model")
    part = part_of(folder, "transformer")
    x, level, text = _inputs("t2v")
    exact, small = (open_transformer(Source(part, packed=how), torch.device("cpu")) for how in (None, kind))
    small.blocks.hold()
    assert isinstance(small.blocks[0].attention.qkv, PackedLinear)
    assert small.blocks[0].attention.qkv.weight.element_size() == 1
    level = level[:, None].expand(-1, x.shape[2])
    assert _distance(_ours(small, x, level, text), _ours(exact, x, level, text)) < far


def test_a_product_in_fp8_is_the_product_of_what_bytes_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card's own function is played: it multiplies bytes exactly and then each row and column by its scale."""

    def played(a: Tensor, b: Tensor, *, scale_a: Tensor, scale_b: Tensor, out_dtype: torch.dtype) -> Tensor:
        assert a.dtype == b.dtype == torch.float8_e4m3fn and scale_a.shape == (len(a), 1) and scale_b.shape == (1, b.shape[1])
        return (a.float() @ b.float() * scale_a * scale_b).to(out_dtype)

    monkeypatch.setattr(torch, "_scaled_mm", played)
    generator = torch.Generator().manual_seed(5)
    linear = nn.Linear(64, 128).requires_grad_(False)
    x = torch.randn(2, 3, 64, generator=generator).bfloat16() * torch.tensor([0.01, 1, 100])[:, None]
    layer = PackedLinear(linear, "fp8")
    assert not packed.multiplies(x, layer.weight)
    monkeypatch.setattr(packed, "multiplies", lambda x, weight: True)
    made = layer(x.bfloat16())
    assert made.shape == (2, 3, 128) and made.dtype == torch.bfloat16
    for ours, wanted in zip(made.flatten(0, 1), linear(x.float()).flatten(0, 1), strict=True):
        assert _distance(ours.float(), wanted) < 0.06, "each token by its own scale"


def test_a_network_on_another_device_makes_everything_there(tmp_path: Path) -> None:
    """On ``meta`` an operation over tensors of two devices fails."""
    folder = wan.save(wan.transformer(), tmp_path / "model")
    network = open_transformer(Source(part_of(folder, "transformer")), torch.device("meta"))
    x, level, text = (tensor.to("meta") for tensor in _inputs("t2v"))
    marks = torch.zeros(2, x.shape[2], dtype=torch.long, device="meta")
    for held in (False, True):
        assert network(x, level[:, None].expand(-1, x.shape[2]), text, marks, marks.float(), marks).device.type == "meta"
        if not held:
            network.blocks.hold()


def test_skyreels_runs_with_a_level_for_each_frame(tmp_path: Path) -> None:
    from diffusers import SkyReelsV2Transformer3DModel

    sizes = {"num_attention_heads": 2, "attention_head_dim": 26, "text_dim": wan.TEXT, "num_layers": 2, "ffn_dim": 72}
    with wan.silence():
        oracle = SkyReelsV2Transformer3DModel(**sizes, in_channels=6, out_channels=6, inject_sample_info=True)
        wan.randomise(oracle)
        oracle.eval().save_pretrained(tmp_path / "model")
    ours = load_transformer(tmp_path / "model")
    x, _, text = (tensor[:1] for tensor in _inputs("t2v"))  # with two clips diffusers' own fails
    level = torch.tensor([[0.0, 0.4, 0.9]])
    with torch.no_grad():
        wanted = oracle(x, level * 1000, text, enable_diffusion_forcing=True, fps=[1], return_dict=False)[0]
    assert _distance(_ours(ours, x, level, text), wanted) < 1e-5


@pytest.mark.parametrize(
    "name, network, says",
    [
        ("Wan2.1_VAE.pth", "autoencoder", "only as the pickle Wan2.1_VAE.pth"),
        ("models_t5_umt5-xxl-enc-bf16.pth", "text encoder", "only as the pickle models_t5"),
        ("nothing.txt", "autoencoder", "has no autoencoder; put the vae/"),
    ],
)
def test_pickles_of_the_original_folder_are_never_opened(tmp_path: Path, name: str, network: str, says: str) -> None:
    wan.save(wan.transformer(), tmp_path, "original")
    (tmp_path / name).write_bytes(b"\x80\x02")
    with pytest.raises(CheckpointError, match=says):
        part_of(tmp_path, network)
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        tokenizer_of(tmp_path)


@pytest.mark.parametrize(
    "tensors, says",
    [
        (["double_blocks.0.img_attn.qkv.weight"], "holds Flux, which Misora does not run"),
        (["double_blocks.0.img_attn_qkv.weight"], "holds HunyuanVideo"),
        (["img_emb.proj.1.weight", "time_projection.1.weight"], "image-to-video with a CLIP encoder"),
        (["something.weight"], "no transformer that Misora knows"),
    ],
)
def test_other_families_are_named_by_their_tensors(tmp_path: Path, tensors: list[str], says: str) -> None:
    save_file({name: torch.zeros(2, 2) for name in tensors}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=says):
        load_transformer(tmp_path / "model.safetensors")
