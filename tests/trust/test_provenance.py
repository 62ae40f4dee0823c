"""What leaves is signed, says truly how it came to be, and shows when it was changed; it knows nothing of jobs or servers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from misora.client.errors import ProvenanceError
from misora.media.write import write_image, write_video
from misora.trust import authority, provenance
from misora.trust.provenance import COMPOSITE, TRAINED, Signer, Story

PROMPT = "a red ball bounces on a wooden floor"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer.open(tmp_path_factory.mktemp("data") / "authority")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    frames = [torch.full((64, 96, 3), 10 * index, dtype=torch.uint8) for index in range(6)]
    return write_video(tmp_path / "plain.mp4", frames, 24.0)


def test_a_signed_clip_tells_its_story_without_the_prompt(signer: Signer, clip: Path) -> None:
    signed = signer.sign(clip, clip.with_name("signed.mp4"), Story(job="video_7", prompt=PROMPT))
    told = provenance.read(signed, signer.root)
    assert told and told["state"] == "Trusted" and told["failures"] == []
    assert (told["signer"], told["actions"], told["source"]) == ("Misora signer", ["c2pa.created"], TRAINED)
    assert told["job"] == {"job": "video_7", "prompt_sha256": provenance.prompt_hash(PROMPT)}
    assert PROMPT.encode() not in signed.read_bytes()
    assert signed.stat().st_size - clip.stat().st_size < 20_000


def test_a_stranger_sees_it_unchanged_but_not_trusted(signer: Signer, clip: Path) -> None:
    signed = signer.sign(clip, clip.with_name("signed.mp4"), Story())
    told = provenance.read(signed)
    assert told and told["state"] == "Valid" and told["failures"] == []
    assert provenance.read(clip) is None


def test_every_changed_byte_of_the_picture_shows(signer: Signer, clip: Path) -> None:
    signed = signer.sign(clip, clip.with_name("signed.mp4"), Story())
    data = bytearray(signed.read_bytes())
    data[data.rindex(b"mdat") + 40] ^= 1
    signed.write_bytes(data)
    told = provenance.read(signed, signer.root)
    assert told and told["state"] == "Invalid" and "assertion.bmffHash.mismatch" in told["failures"]
    with pytest.raises(ProvenanceError, match="changed after it was signed"):
        signer.sign(clip, clip.with_name("remix.mp4"), Story(parents=(signed,)))
    assert not clip.with_name("remix.mp4").exists()


def test_a_remix_opens_its_parent_and_is_edited(signer: Signer, clip: Path) -> None:
    first = signer.sign(clip, clip.with_name("first.mp4"), Story())
    remix = signer.sign(clip, clip.with_name("remix.mp4"), Story(parents=(first, clip)))
    told = provenance.read(remix, signer.root)
    assert told and told["state"] == "Trusted" and told["source"] == COMPOSITE
    assert told["actions"] == ["c2pa.opened", "c2pa.placed", "c2pa.edited"]
    assert told["ingredients"] == ["parentOf", "componentOf"]


def test_an_image_that_was_looked_at_is_an_input(signer: Signer, clip: Path) -> None:
    image = write_image(clip.with_name("photo.png"), torch.zeros(64, 64, 3, dtype=torch.uint8))
    told = provenance.read(signer.sign(clip, clip.with_name("moving.mp4"), Story(inputs=(image,))), signer.root)
    assert told and told["state"] == "Trusted" and (told["actions"], told["ingredients"]) == (["c2pa.created"], ["inputTo"])


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp"])
def test_images_are_signed_too(signer: Signer, tmp_path: Path, ending: str) -> None:
    plain = write_image(tmp_path / f"plain{ending}", torch.zeros(64, 64, 3, dtype=torch.uint8))
    told = provenance.read(signer.sign(plain, tmp_path / f"signed{ending}", Story()), signer.root)
    assert told and told["state"] == "Trusted"


def test_the_authority_is_made_once_with_secret_keys_and_outlives_its_roots_key(tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    first = authority.open_authority(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(authority.FILES)
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.key"))
    (folder / "root.key").rename(tmp_path / "safe.key")
    assert authority.open_authority(folder) == first
    assert "key" not in repr(first).replace("mark_key", "")


def test_an_operators_own_certificate_signs(tmp_path: Path, clip: Path, signer: Signer) -> None:
    authority.open_authority(tmp_path / "other")
    theirs = Signer.open(tmp_path / "ours", certificate=tmp_path / "other/leaf.pem", key=tmp_path / "other/leaf.key")
    signed = theirs.sign(clip, clip.with_name("signed.mp4"), Story())
    told, strange = provenance.read(signed, theirs.root), provenance.read(signed, signer.root)
    assert told and strange and (told["state"], strange["state"]) == ("Trusted", "Valid")
    with pytest.raises(ProvenanceError):
        Signer.open(tmp_path / "ours", certificate=clip, key=clip)


def test_what_fails_leaves_nothing_behind(signer: Signer, tmp_path: Path) -> None:
    def interrupted() -> None:
        with signer.sealing(tmp_path / "clip.mp4", Story()) as unsigned:
            unsigned.write_bytes(b"half a file")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (tmp_path / "torn.mp4").write_bytes(b"no video at all")
    with pytest.raises(ProvenanceError):
        signer.sign(tmp_path / "torn.mp4", tmp_path / "out.mp4", Story())
    assert [path.name for path in tmp_path.iterdir()] == ["torn.mp4"]
