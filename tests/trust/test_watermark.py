"""The mark cannot be seen, survives what happens to clips, and is found nowhere else; it knows nothing of files' manifests."""

from __future__ import annotations

import json
import random
from pathlib import Path

import av
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from misora.cli.main import main
from misora.client.errors import MediaError
from misora.media.read import read_video
from misora.media.write import write_image, write_video
from misora.trust import coding
from misora.trust.coding import payload_of
from misora.trust.detect import detect
from misora.trust.provenance import Signer, Story
from misora.trust.verify import verify
from misora.trust.watermark import badged, marked, tile_of, woven
from tests.tree import ROOT

KEY, OTHER = b"k" * 32, b"o" * 32
PAYLOAD = payload_of("video_1")


def scene(count: int = 6, height: int = 384, width: int = 704) -> Tensor:
    """A floor of planks, a wall and a ball that rolls: [t, h, w, 3]."""
    down, right = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    floor = 90 + 14 * ((right // 44 + down // 60) % 2) + down / 12
    frames = []
    for index in range(count):
        ball = (down - height * 0.7) ** 2 + (right - width * (0.2 + 0.04 * index)) ** 2 < (height / 8) ** 2
        luma = torch.where(ball, 200 - (right % 97), torch.where(down < height // 2, torch.tensor(170.0) + right / 40, floor))
        frames.append(torch.stack((luma, luma * 0.9, luma * 0.7), dim=2).to(torch.uint8))
    return torch.stack(frames)


@pytest.fixture(scope="module")
def clip() -> Tensor:
    return torch.stack(list(marked(scene(), KEY, PAYLOAD)))


def compressed(frames: Tensor, path: Path, crf: int = 28) -> Tensor:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.numpy(), format="rgb24")))
        container.mux(stream.encode())
    return read_video(path)[0]


def halved(frames: Tensor) -> Tensor:
    small = interpolate(frames.permute(0, 3, 1, 2).float(), scale_factor=0.5, mode="bicubic", antialias=True)
    return small.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def cropped(frames: Tensor) -> Tensor:
    return frames[:, 20:364, 30:662].contiguous()


def test_it_changes_less_than_forty_decibels_say(clip: Tensor) -> None:
    error = (clip.float() - scene().float()).square().mean()
    assert 10 * torch.log10(255**2 / error) >= 40
    assert (clip.int() - scene().int()).abs().max() <= 3


def test_it_is_fainter_in_a_clear_sky_and_has_soft_edges() -> None:
    sky = torch.full((384, 704, 3), 200, dtype=torch.uint8)
    squares = torch.randint(0, 9, (24, 88, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    sky[192:] -= squares.repeat_interleave(8, 0).repeat_interleave(8, 1)
    (out,) = marked([sky], KEY, PAYLOAD)
    change = (out.int() - sky.int())[:, :, 0].float()
    clear, busy = change[:160], change[224:]
    assert clear.abs().max() <= 2 and clear.square().mean() < 0.6 * busy.square().mean()
    assert abs(float(clear.mean())) < 0.1
    pattern = woven(tile_of(KEY).filled(PAYLOAD))
    assert pattern.abs().max() <= 1 and pattern.diff(dim=0).abs().max() < 0.75 and pattern.diff(dim=1).abs().max() < 0.75


CHANGES = {
    "nothing": lambda frames: frames,
    "half size": halved,
    "crop": cropped,
    "mirror": lambda frames: frames.flip(2),
    "dropped frames": lambda frames: frames[::3],
    "half size, crop and mirror": lambda frames: halved(cropped(frames).flip(2)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_read_after(name: str, clip: Tensor, tmp_path: Path) -> None:
    found = detect(compressed(CHANGES[name](clip), tmp_path / "clip.mp4"), KEY, thorough=False)
    assert found.certain and found.payload in ((PAYLOAD, None) if name.count(",") else (PAYLOAD,))  # six frames, thrice changed
    assert found.mirrored == ("mirror" in name)


def test_a_size_that_nobody_thought_of_is_searched(clip: Tensor) -> None:
    odd = interpolate(clip[:2].permute(0, 3, 1, 2).float(), size=(300, 550), mode="bilinear", antialias=True)
    assert detect(odd.permute(0, 2, 3, 1).round().to(torch.uint8), KEY).payload == PAYLOAD


def test_nothing_is_found_where_nothing_is(clip: Tensor) -> None:
    assert not detect(scene(2), KEY, thorough=False).certain
    assert not detect(clip, OTHER, thorough=False).certain
    assert not detect(torch.zeros(2, 64, 64, 3, dtype=torch.uint8), KEY, thorough=False).certain


def test_the_code_mends_errors_and_owns_up_to_too_many() -> None:
    draw = random.Random(0)
    payload = draw.getrandbits(64)
    signs = [float(sign) for sign in coding.encode(payload)]
    assert len(signs) == coding.CODED and coding.decode(signs) == payload
    for place in range(3, coding.CODED, 15):
        signs[place] *= -1
    assert coding.decode(signs) == payload
    assert all(coding.decode([draw.gauss(0, 1) for _ in range(coding.CODED)]) is None for _ in range(5))


def test_marking_saturates_and_keeps_frames_that_are_shown_twice_one_object() -> None:
    black, white = torch.zeros(64, 64, 3, dtype=torch.uint8), torch.full((64, 64, 3), 255, dtype=torch.uint8)
    first, again, third = marked([black, black, white], KEY, PAYLOAD)
    assert first is again and first.max() <= 3 and third.min() >= 252


def test_the_visible_mark_is_in_the_corner() -> None:
    frame = torch.zeros(384, 704, 3, dtype=torch.uint8)
    (out,) = badged([frame])
    assert out[-40:, -120:].max() > 100 and out[:300].max() == 0 and frame.max() == 0


def test_verify_tells_a_signed_a_stripped_and_a_strange_file_apart(tmp_path: Path, clip: Tensor) -> None:
    signer, story = Signer.open(tmp_path / "authority"), Story(job="video_1", prompt="a ball")
    with signer.sealing(tmp_path / "signed.mp4", story) as unsigned:
        write_video(unsigned, signer.marked(scene(4), story), 24.0)
    keys = {"anchors": signer.root, "mark_key": signer.credentials.mark_key, "thorough": False}
    report = verify(tmp_path / "signed.mp4", **keys)
    assert report.signed and report.trusted and report.made_here and report.watermark and not report.changed
    assert (report.job, report.payload) == ("video_1", PAYLOAD) and report.generated
    assert not {"job", "payload", "prompt_sha256"} & report.public().keys()
    compressed(read_video(tmp_path / "signed.mp4")[0], tmp_path / "stripped.mp4")
    report = verify(tmp_path / "stripped.mp4", **keys)
    assert not report.signed and report.watermark and report.made_here and report.job == ""
    write_image(tmp_path / "strange.png", scene(1)[0])
    report = verify(tmp_path / "strange.png", **keys)
    assert not (report.signed or report.watermark or report.made_here)
    with pytest.raises(MediaError):
        verify(ROOT / "README.md", **keys)


def test_the_command_line_vouches_for_ours_and_for_nothing_else(tmp_path: Path, clip: Tensor, capsys: pytest.CaptureFixture[str]) -> None:
    signer, story = Signer.open(tmp_path / "signing"), Story(job="video_1")
    signed = signer.sign(write_image(tmp_path / "plain.png", scene(1)[0]), tmp_path / "signed.png", story)
    ask = ("--data", str(tmp_path), "--quick")
    assert main(["verify", str(signed), *ask]) == 0 and "yes, by Misora signer" in capsys.readouterr().out
    assert main(["verify", str(signed), *ask, "--json"]) == 0 and json.loads(capsys.readouterr().out)["made_here"]
    assert main(["verify", str(tmp_path / "plain.png"), *ask]) == 1 and "neither" in capsys.readouterr().err
    signed.write_bytes(signed.read_bytes()[:-30] + bytes(30))
    assert main(["verify", str(signed), *ask]) == 1
    assert main(["verify", str(tmp_path / "absent.mp4"), *ask]) == 2
