"""Laws of meshes: a box of triangles is drawn and falls as the box itself, either file says the same, hostile files are refused."""

from __future__ import annotations

import dataclasses
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from misora.client.errors import MediaError
from misora.words.graph import SHAPES, Card, SceneGraph, Thing
from misora.world.mesh import FACES, Mesh, read_mesh
from misora.world.physics import Solid, simulate
from misora.world.render import draw
from misora.world.render_mesh import ROW, mesh_normal, mesh_span, tree
from misora.world.stage import form as form_of
from misora.world.takes import Picture, stage_graph
from tests.reference import world_mesh as slow
from tests.world.test_render import shot_of

CORNERS = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
SIDES = ((1, 2, 4, 3), (5, 6, 8, 7), (1, 2, 6, 5), (3, 4, 8, 7), (1, 3, 7, 5), (2, 4, 8, 6))
BOX = "".join(f"v {x} {y} {z}\n" for x, y, z in CORNERS) + "".join(f"f {' '.join(f'{c}/{c}/1' for c in side)}\n" for side in SIDES)


@pytest.fixture
def box(tmp_path: Path) -> Mesh:
    (tmp_path / "box.obj").write_text(f"# a box\no box\n{BOX}")
    return read_mesh(tmp_path / "box.obj")


def test_a_box_of_triangles_is_the_box(box: Mesh) -> None:
    shot = shot_of("cube", "ball", seed=3)
    mesh = box.sized(shot.bodies[0].half)
    meshed = dataclasses.replace(shot, bodies=(dataclasses.replace(shot.bodies[0], mesh=mesh), shot.bodies[1]))
    (frames, ids), (own_frames, own_ids) = draw(shot, height=48, width=80), draw(meshed, height=48, width=80)
    assert (ids != own_ids).mean() < 0.002
    assert np.abs(frames.astype(int) - own_frames).mean() < 1.0, "but for the bevel, which only formulas have"


def test_a_tree_holds_every_triangle_once_and_its_skips_go_forward() -> None:
    corners = np.random.default_rng(0).normal(size=(137, 3, 3))
    rows, nodes = tree(Mesh(corners=corners))
    assert rows.shape == (nodes + 137, ROW) and rows[:nodes, 8].sum() == 137
    assert (rows[:nodes, 6] > np.arange(nodes)).all() and rows[:nodes, 6].max() == nodes == rows[0, 6]
    assert {tuple(row[:3]) for row in rows[nodes:]} == {tuple(triangle[0]) for triangle in corners}


def test_lines_meet_a_heap_of_triangles_where_the_slow_twin_says() -> None:
    rng = np.random.default_rng(1)
    corners = rng.normal(size=(60, 1, 3)) + 0.4 * rng.normal(size=(60, 3, 3))
    rows, nodes = tree(Mesh(corners=corners))
    look, met = np.concatenate([np.zeros(30), rows.ravel()]), 0
    for _ in range(60):
        origin, aim = 5 * rng.normal(size=3), rng.normal(size=3)
        direction = (aim - origin) / np.linalg.norm(aim - origin)
        near, far = mesh_span(look, 30, nodes, *origin, *direction)
        expected = slow.places(corners, origin, direction)
        assert (near > far) == (len(expected) == 0)
        if len(expected):
            met += 1
            assert near == pytest.approx(expected[0], abs=1e-6) and far == pytest.approx(expected[-1], abs=2e-4)
            normal = np.array(mesh_normal(look, 30, nodes, *(origin + near * direction)))
            sides = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # n 3
            off = np.abs(np.einsum("nc,nc->n", sides, origin + near * direction - corners[:, 0])) / np.linalg.norm(sides, axis=1)
            likely = [side for side, away in zip(sides, off, strict=True) if away < 1e-4]
            assert any(np.allclose(np.cross(normal, side), 0, atol=1e-9) for side in likely)
    assert met > 10


def test_a_mesh_falls_and_lies_like_a_box(box: Mesh) -> None:
    half = (0.2, 0.2, 0.2)
    ends = []
    for mesh in (None, box.sized(half)):
        record = simulate([Solid(shape="cube", half=half, position=(0, 0, 1), mesh=mesh)], seconds=1.5, frame_rate=12)
        ends.append(record.positions[-1, 0])
        assert record.positions[3, 0, 2] == pytest.approx(1 - 9.81 / 2 * 0.25**2, abs=0.01)
    assert np.allclose(*ends, atol=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mesh_is_about_as_large_as_the_shape_and_stands_upright(shape: str) -> None:
    graph = SceneGraph(things=(Thing(colour="red", shape=shape),), cards=(Card(start=0.0, end=1.0, acts=()),))
    _, form = form_of(graph.things[0], np.random.default_rng(0))
    for sides in ((2, 1, 0.8), (0.4, 0.4, 2), (2, 2, 0.2), form):
        mesh = Mesh(corners=np.array([CORNERS] * 3) * np.array(sides) / max(sides))
        half = mesh.sized(form).half
        assert max(half) <= max(form) + 1e-9 and math.prod(half) <= math.prod(form) + 1e-9, "never larger than the shape"
        assert max(half) > max(form) - 1e-9 or math.prod(half) > math.prod(form) - 1e-9, "as large as that allows"
        assert np.allclose(np.array(half) / half[0], np.array(sides) / sides[0]), "its own proportions"
        shot, _ = stage_graph(graph, np.random.default_rng(0), Picture(seconds=0.5), {0: mesh})
        assert np.allclose(shot.bodies[0].half, half) and np.allclose(shot.positions[0, 0, 2], half[2]), "on the floor"
        assert not shot.orientations[0, 0, 1:3].any(), "turned about the upright axis alone"
    assert np.allclose(half, form), "a box of the shape's proportions is the shape's box"


def test_both_kinds_of_stl_say_what_the_obj_says(box: Mesh, tmp_path: Path) -> None:
    packed = b"".join(struct.pack("<12fH", 0, 0, 0, *map(float, triangle.ravel()), 0) for triangle in box.corners)
    (tmp_path / "box.stl").write_bytes(b"\0" * 80 + struct.pack("<I", len(box.corners)) + packed)
    assert np.allclose(read_mesh(tmp_path / "box.stl").corners, box.corners)
    lines = "".join(f"vertex {x} {y} {z}\n" for triangle in box.corners for x, y, z in triangle)
    (tmp_path / "text.STL").write_text(f"solid box\n{lines}endsolid\n")
    assert np.allclose(read_mesh(tmp_path / "text.STL").corners, box.corners)


HOSTILE = {
    "empty.obj": ("", "no triangle"),
    "nan.obj": (BOX.replace("v 1 1 1", "v nan 1 1"), "no numbers"),
    "far.obj": (BOX.replace("v 1 1 1", "v 1e300 1 1"), "no numbers"),
    "flat.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "flat"),
    "tilted.obj": ("v 0 0 0\nv 1 0 1\nv 0 1 1\nv 1 1 2\nf 1 2 4 3\n", "flat"),
    "point.obj": ("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "flat"),
    "astray.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "damaged"),
    "words.obj": ("v a b c\n", "damaged"),
    "many.obj": (BOX + "f 1 2 3\n" * (FACES + 1), "simplify"),
    "cut.stl": ("\0" * 84 + "x", "damaged"),
    "ragged.stl": ("solid a\nvertex 1 2 3\nvertex 1 2\n", "damaged"),
    "box.ply": ("ply", "no mesh known"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_solid_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(HOSTILE[name][0])
    with pytest.raises(MediaError, match=HOSTILE[name][1]):
        read_mesh(tmp_path / name)
    with pytest.raises(MediaError, match="check the name"):
        read_mesh(tmp_path / "none.obj")


@pytest.mark.parametrize("name", ["/dev/zero", "a\0b.obj", "a" * 5000 + ".obj"])
def test_what_is_no_file_is_not_read(name: str) -> None:
    with pytest.raises(MediaError, match="check the name"):
        read_mesh(name)
