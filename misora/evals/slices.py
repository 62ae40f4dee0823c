"""The evaluation slice: which scene graphs the parser is asked to judge; it knows nothing of pixels."""

from __future__ import annotations

import dataclasses

from misora.words.graph import COLOURS, FLOORS, SceneGraph


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slice:
    """What a graph may hold to be in the slice; one card, distinct colours and no two things in line are always asked for."""

    things: int = 3
    colours: tuple[str, ...] = COLOURS
    shapes: tuple[str, ...] = ("ball", "cube", "cylinder", "cone")
    sizes: tuple[str | None, ...] = (None, "medium", "large")
    verbs: tuple[str, ...] = ("stay", "roll", "slide", "fall", "bounce")
    relations: tuple[str, ...] = ("left_of", "right_of")
    floors: tuple[str, ...] = FLOORS
    lights: tuple[str, ...] = ("day",)
    styles: tuple[str, ...] = ("realistic",)
    cameras: tuple[str, ...] = ("still",)
    unclear: tuple[tuple[str, str], ...] = (("stone", "white"),)  # floors that the shaded side of a thing melts into

    def __contains__(self, graph: SceneGraph) -> bool:
        """Whether the parser's figures speak for this graph."""
        return (
            len(graph.cards) == 1
            and len(graph.things) <= self.things
            and len({thing.colour for thing in graph.things}) == len(graph.things)
            and all(t.colour in self.colours and t.shape in self.shapes and t.size in self.sizes for t in graph.things)
            and all(act.verb in self.verbs and act.target is None for act in graph.cards[0].acts)
            and all(relation.kind in self.relations for relation in graph.relations)
            and graph.floor in self.floors
            and not any((graph.floor, thing.colour) in self.unclear for thing in graph.things)
            and graph.light in self.lights
            and graph.style in self.styles
            and graph.cards[0].camera in self.cameras
        )


SLICE_V1 = Slice()
