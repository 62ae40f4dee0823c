"""English: the words for everything in the scene graph and how they become a caption; it knows nothing of other languages."""

from __future__ import annotations

import random

from misora.words.graph import Act
from misora.words.plan import Line, Move, Place, Say, plan
from misora.words.told import Told

COLOURS: dict[str, tuple[str, ...]] = {
    **{c: (c,) for c in ("red", "orange", "yellow", "green", "blue", "pink", "brown", "white", "black")},
    "cyan": ("cyan", "aqua"),
    "purple": ("purple", "violet"),
    "grey": ("grey", "gray"),
}
SHAPES: dict[str, tuple[str, ...]] = {
    **{s: (s,) for s in ("cylinder", "cone", "pyramid", "egg")},
    "ball": ("ball", "ball", "sphere", "orb"),
    "cube": ("cube", "cube", "box"),
    "capsule": ("capsule", "pill"),
    "block": ("block", "block", "brick", "cuboid"),
}
SIZES = {"small": ("small", "small", "little"), "medium": ("medium-sized", "mid-sized"), "large": ("large", "big")}
# A star marks a verb to be inflected, {d} a direction, {x} the target.
VERBS: dict[str, tuple[str, ...]] = {
    "stay": ("stay* still", "stand* still", "rest*", "do* not move", "keep* still", "remain* at rest", "stay* in place", "be* motionless"),
    "roll": ("roll* {d}", "roll* {d}", "roll* along {d}", "roll* across the floor {d}"),
    "slide": ("slide* {d}", "slide* {d}", "glide* {d}", "slide* along {d}", "slide* across the floor {d}"),
    "fall": ("fall* {d}", "drop* {d}", "fall* down {d}", "fall* to the floor {d}", "fall* from above {d}", "drop* to the ground {d}"),
    "bounce": ("bounce* {d}", "bounce* {d}", "bounce* up and down {d}", "keep* bouncing {d}", "bounce* again and again {d}"),
    "throw": ("be* thrown {d}", "be* tossed {d}", "fly* {d} in an arc", "fly* through the air {d}", "be* thrown through the air {d}"),
    "collide": (
        *("hit* {x}", "bump* into {x}", "collide* with {x}", "run* into {x}", "crash* into {x}", "strike* {x}", "knock* into {x}"),
        *("move* {d} and hit* {x}", "move* {d} and bump* into {x}", "hit* {x} while moving {d}", "collide* with {x}, moving {d}"),
        "move* {d} and crash* into {x}",
    ),
    "topple": ("topple* over {d}", "tip* over {d}", "fall* over {d}", "tumble* over {d}", "topple* {d}"),
    "stack": (
        *("be* stacked on {x}", "be* placed on top of {x}", "be* put on {x}", "be* set down on {x}", "land* on {x} and stay* there"),
        "come* down on top of {x} and stay* there",
    ),
    "spin": (
        "spin* {d}",
        "spin* {d}",
        "rotate* {d}",
        "turn* around {d}",
        "spin* around {d}",
        "spin* on the spot {d}",
        "rotate* in place {d}",
    ),
    "pass_behind": (
        *("pass* behind {x}", "go* behind {x}", "move* behind {x}", "disappear* behind {x} and come* out again"),
        *("pass* behind {x}, moving {d}", "move* {d} and pass* behind {x}", "move* {d} behind {x}", "go* {d} behind {x}"),
        "disappear* behind {x} and come* out again, moving {d}",
    ),
    "break": ("break*", "break* into pieces", "shatter*", "break* apart", "fall* to pieces", "burst* into pieces", "burst* apart"),
}
PASSIVES = {"collide": ("hit", "struck"), "stack": (), "pass_behind": ()}
WAYS = (
    "to the {}",
    "to the {}",
    "{}",
    "{}wards",
    "{}ward",
    "towards the {}",
    "toward the {}",
    "from {other} to {}",
    "from the {other} to the {}",
)
SIDES = {
    "left_of": (("to the left of", "left of", "on the left of"), ("to the right of", "right of", "on the right of")),
    "in_front_of": (("in front of",), ("behind",)),
    "on_top_of": (("on top of", "on"), ("under", "below", "underneath", "beneath")),
}
# (within a sentence, bare, after "the floor is")
Scenery = dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]
FLOORS: Scenery = {
    "wooden": (("on a wooden floor", "on wood", "on a wood floor"), ("wooden floor", "wood"), ("wooden", "made of wood")),
    "grass": (("on grass", "on the grass", "on a lawn", "on a grassy floor"), ("grass", "lawn"), ("grass", "grassy", "covered with grass")),
    "stone": (("on a stone floor", "on stone"), ("stone floor", "stone"), ("made of stone", "stone")),
    "tiled": (("on a tiled floor", "on tiles", "on a tile floor"), ("tiled floor", "tiles"), ("tiled", "made of tiles")),
    "snowy": (("on snow", "in the snow", "on snowy ground", "on a snowy floor"), ("snow", "snowy floor"), ("snowy", "covered with snow")),
    "sandy": (("on sand", "in the sand", "on sandy ground", "on a sandy floor"), ("sand", "sandy floor"), ("sandy", "covered with sand")),
    "carpet": (("on a carpet", "on carpet", "on a carpeted floor"), ("carpet", "carpeted floor"), ("carpeted", "covered with carpet")),
    "plain": (("on a plain floor", "on plain ground"), ("plain floor",), ("plain",)),
}
LIGHTS: Scenery = {
    "day": (("in daylight", "by day", "during the day"), ("daylight", "day"), ("it is day", "it is daytime")),
    "sunset": (("at sunset", "in the light of the setting sun"), ("sunset",), ("the sun is setting", "it is sunset")),
    "night": (("at night", "by night", "at night-time"), ("night",), ("it is night", "it is night-time")),
}
STYLES: Scenery = {
    "realistic": (("in a realistic style",), ("realistic", "realistic style"), ("the style is realistic", "it looks realistic")),
    "toon": (
        ("in a cartoon style", "as a cartoon"),
        ("cartoon", "cartoon style", "toon"),
        ("the style is cartoon", "it looks like a cartoon"),
    ),
    "clay": (("in a clay style", "as claymation"), ("clay style", "claymation"), ("the style is claymation", "it looks like clay")),
    "monochrome": (("in black and white", "in monochrome"), ("black and white", "monochrome"), ("the picture is black and white",)),
}
CAMERAS: Scenery = {
    "still": (
        ("with a still camera", "with a fixed camera"),
        ("still camera", "static camera"),
        ("the camera does not move", "the camera is still"),
    ),
    "zoom_in": (("as the camera zooms in",), ("zoom in", "camera zooming in"), ("the camera zooms in", "the camera is zooming in")),
    "zoom_out": (("as the camera zooms out",), ("zoom out", "camera zooming out"), ("the camera zooms out", "the camera is zooming out")),
}
for _side in ("left", "right"):
    CAMERAS["pan_" + _side] = (
        (f"as the camera pans {_side}", f"as the camera pans to the {_side}"),
        (f"pan {_side}", f"camera panning {_side}", f"pan to the {_side}"),
        (f"the camera pans {_side}", f"the camera pans to the {_side}", f"the camera is panning to the {_side}"),
    )
    CAMERAS["orbit_" + _side] = (
        (f"as the camera orbits {_side}", f"as the camera circles to the {_side}"),
        (f"orbit {_side}", f"camera orbiting {_side}", f"orbit to the {_side}"),
        (f"the camera orbits to the {_side}", f"the camera circles to the {_side}", f"the camera is orbiting {_side}"),
    )
COUNTS = (("no",), ("one", "1"), ("two", "2"), ("three", "3"), ("four", "4"), ("five", "5"))
JOINS = (". ", ". ", ", ", "; ", " and ", ", and ")
# Words of the grammar below and others that a prompt may use without meaning anything that the tables do not say.
FUNCTION_WORDS = """
a an the another that which it its this these those there is are be being been and or of in on at to from with while as by for
into one ones we see you can seen show shows showing object objects thing things each both all row not no does do where who
same once more before video clip scene picture image shot film colour color colored coloured then now up down over out again has have i want
please make some very slowly only just style camera floor
"""
IRREGULAR = {"be": ("is", "are", ""), "do": ("does", "do", ""), "fly": ("flies", "fly", "flying")}
DOUBLED = ("drop", "hit", "run", "tip", "put", "set", "spin")
MOTION_ADJECTIVES = {
    "roll": "rolling",
    "slide": "sliding",
    "fall": "falling",
    "bounce": "bouncing",
    "spin": "spinning",
    "stay": "motionless",
}


def inflect(verb: str) -> tuple[str, str, str]:
    """A regular verb's forms: he …s, they …, …ing."""
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    stem = verb + verb[-1] if verb in DOUBLED else verb[:-1] if verb.endswith("e") else verb
    return verb + ("es" if verb.endswith(("s", "sh", "ch")) else "s"), verb, stem + "ing"


def conjugate(phrase: str, form: int) -> str:
    """``phrase`` with its starred verbs in form 0 (he …s), 1 (they …) or 2 (…ing)."""
    words = [inflect(word[:-1])[form] if word.endswith("*") else word for word in phrase.split()]
    return " ".join(word for word in words if word)


class Speaker:
    """Puts one Told into words; remembers which things the listener has met."""

    def __init__(self, told: Told, rng: random.Random, terse: bool) -> None:
        self.told, self.rng, self.terse = told, rng, terse
        self.nouns = {thing.shape: rng.choice(SHAPES[thing.shape]) for thing in told.things}
        self.met: list[int] = []
        self.shapes = [thing.shape for thing in told.things]
        self.colours = [thing.colour for thing in told.things]

    def name(self, i: int, noun: str = "") -> str:
        """Size, colour and shape, without article."""
        thing = self.told.things[i]
        size = self.rng.choice(SIZES[thing.size]) + " " if thing.size else ""
        return f"{size}{self.rng.choice(COLOURS[thing.colour])} {noun or self.nouns[thing.shape]}"

    def new(self, i: int, adjective: str = "") -> str:
        """A first mention: "a red ball", or "another red ball" after its double."""
        look = (self.told.things[i].colour, self.told.things[i].shape)
        again = any((self.told.things[k].colour, self.told.things[k].shape) == look for k in self.met)
        self.met.append(i)
        name = f"{adjective} {self.name(i)}".strip()
        if again:
            return "another " + name
        if self.terse:
            return name
        if not adjective and self.rng.random() < 0.04:
            thing = self.told.things[i]
            size = self.rng.choice(SIZES[thing.size]) + " " if thing.size else ""
            return article(f"{size}{self.nouns[thing.shape]} that is {self.rng.choice(COLOURS[thing.colour])}")
        return article(name)

    def known(self, i: int) -> str:
        """A later mention: "the ball", "the red ball", "it"."""
        thing, draw = self.told.things[i], self.rng.random()
        if self.terse:
            return self.name(i)
        if len(self.told.things) == 1 and draw < 0.5:
            return "it"
        if i in self.told.doubles():
            return "that " + f"{thing.colour} {self.nouns[thing.shape]}"
        if self.shapes.count(thing.shape) == 1 and draw < 0.5:
            return "the " + self.nouns[thing.shape]
        if self.colours.count(thing.colour) == 1 and draw < 0.12:
            return f"the {thing.colour} one"
        return f"the {self.rng.choice(COLOURS[thing.colour])} {self.nouns[thing.shape]}"

    def mention(self, i: int) -> str:
        """The thing, as new or as known."""
        return self.known(i) if i in self.met else self.new(i)

    def crowd(self, things: tuple[int, ...], adjective: str = "") -> str:
        """Several things as one subject: "two red balls", "a red ball and a blue cube"."""
        if any(i in self.met for i in things) or len(things) == 1:
            return enumerate_words([self.known(i) if i in self.met else self.new(i, adjective) for i in things])
        looks = [self.told.things[i] for i in things]
        count = self.rng.choice(COUNTS[len(things)])
        plural = plural_of(self.nouns[looks[0].shape])
        if len(set(looks)) == 1:
            self.met += things
            return f"{count} {adjective} {self.name(things[0], plural)}".replace("  ", " ")
        if len({(look.shape, look.size) for look in looks}) == 1 and not looks[0].size and not self.met and self.rng.random() < 0.6:
            self.met += things
            ones = [article(f"{self.rng.choice(COLOURS[look.colour])} one") for look in looks]
            return f"{count} {adjective} {plural}, {enumerate_words(ones)}".replace("  ", " ") + ("," if not adjective else "")
        return enumerate_words([self.new(i, adjective) for i in things])

    def deed(self, act: Act, form: int) -> str:
        """The verb phrase of ``act`` with direction and target in it."""
        phrases = VERBS[act.verb]
        if act.direction:
            phrases = tuple(p for p in phrases if "{d}" in p) or phrases
        phrase = conjugate(self.rng.choice(phrases), form)
        way = direction_words(act.direction, self.rng) if act.direction else ""
        aim = "" if "{x}" not in phrase else "a wall" if act.target is None else self.mention(act.target)
        return " ".join(phrase.format(d=way, x=aim).split()).replace(" ,", ",")

    def say(self, move: Say) -> str:
        """One deed in one of its constructions, or that the things are there."""
        several, fresh, draw = len(move.things) > 1, not any(i in self.met for i in move.things), self.rng.random()
        if move.act is None:
            return self.there(self.crowd(move.things), several)
        if self.terse:
            subject = self.crowd(move.things).rstrip(",")
            return f"{subject} {self.deed(move.act, 2)}"
        adjective = MOTION_ADJECTIVES.get(move.act.verb)
        if fresh and adjective and move.act.direction is None and draw < 0.15:
            return self.there(self.crowd(move.things, adjective), several)
        if move.act.verb in PASSIVES and PASSIVES[move.act.verb] and move.act.target is not None and not move.act.direction and draw < 0.15:
            return f"{self.mention(move.act.target)} is {self.rng.choice(PASSIVES[move.act.verb])} by {self.crowd(move.things)}"
        subject = self.crowd(move.things)
        if fresh and draw < 0.3:
            tail = self.deed(move.act, 2) if self.rng.random() < 0.6 else "that " + self.deed(move.act, int(several))
            return f"there {'are' if several else 'is'} {subject} {tail}" if self.rng.random() < 0.5 else f"{subject} {tail}"
        if draw < 0.5 and move.act.verb != "stay":
            return f"{subject} {'are' if several else 'is'} {self.deed(move.act, 2)}"
        return f"{subject} {self.deed(move.act, int(several))}"

    def there(self, subject: str, several: bool) -> str:
        """That something exists in the picture."""
        subject = subject.rstrip(",")
        if self.terse:
            return subject
        be = "are" if several else "is"
        return self.rng.choice((f"there {be} {subject}", subject, subject, f"we see {subject}", f"you can see {subject}"))

    def place(self, move: Place) -> str:
        """Where one thing stands by another."""
        r = move.relation
        first, second = (r.b, r.a) if move.turned else (r.a, r.b)
        side = self.rng.choice(SIDES[r.kind][int(move.turned)])
        if first not in self.met and not self.terse and self.rng.random() < 0.25:
            return f"{side} {self.mention(second)}{self.rng.choice((' there', ''))} is {self.new(first)}"
        fresh, a = first not in self.met, self.mention(first)
        b = self.mention(second)
        if self.terse:
            return f"{a} {side} {b}"
        if fresh and self.rng.random() < 0.4:
            return f"{self.rng.choice(('there is ', ''))}{a} {side} {b}"
        return f"{a} is {side} {b}"

    def line(self, move: Line) -> str:
        """All things in their order."""
        self.met, parts = [], []
        for i in move.things:
            act, noun = self.told.acts[i], self.new(i)
            earlier, self.met = self.met, list(range(len(self.told.things)))  # targets named here are all in the row
            parts.append(f"{noun} {self.deed(act, 2)}" if act and move.acting else noun)
            self.met = earlier
        row = enumerate_words(parts)
        way = "from right to left" if move.turned else "from left to right"
        choices = (f"{way}: {row}", f"{way}, {row}") if move.acting else (f"{way}: {row}", f"{row}, {way}", f"in a row {way}: {row}")
        return self.rng.choice(choices)

    def move(self, move: Move) -> str:
        """One move in words."""
        return self.say(move) if isinstance(move, Say) else self.place(move) if isinstance(move, Place) else self.line(move)


def article(name: str) -> str:
    """The name with "a" or "an"."""
    return ("an " if name[0] in "aeiou" else "a ") + name


def plural_of(noun: str) -> str:
    """The regular plural."""
    return noun + ("es" if noun.endswith("x") else "s")


def enumerate_words(parts: list[str]) -> str:
    """a, b and c."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def direction_words(direction: str, rng: random.Random) -> str:
    """One way to say left or right as a direction."""
    return rng.choice(WAYS).format(direction, other="right" if direction == "left" else "left")


def phrase(told: Told, rng: random.Random, terse: bool) -> str:
    """A caption that states exactly the facts of ``told``: a list of fragments when ``terse``, else sentences."""
    speaker = Speaker(told, rng, terse)
    parts = [speaker.move(move) for move in plan(told, rng)]
    front: list[str] = []
    after: list[str] = []
    tables = ((told.floor, FLOORS), (told.light, LIGHTS), (told.style, STYLES), (told.camera, CAMERAS))
    for word, table in tables:
        if word is None:
            continue
        within, bare, sentence = table[word]
        draw = rng.random()
        if terse:
            (front if draw < 0.15 else after).append(rng.choice(bare if draw < 0.7 else within))
        elif draw < 0.2:
            front.append(rng.choice(within))
        elif draw < 0.7:
            parts[0] = f"{parts[0].rstrip(',')} {rng.choice(within)}"
        elif draw < 0.8 and table is not FLOORS:
            parts[-1] = f"{parts[-1].rstrip(',')}, {rng.choice(bare)}"
        else:
            after.append(("the floor is " if table is FLOORS else "") + rng.choice(sentence))
    if terse:
        return finish(", ".join(front + parts + after), rng)
    rng.shuffle(after)
    text = ", ".join([*front, parts[0].rstrip(",")])
    for part in parts[1:]:
        text += rng.choice(JOINS) + part.rstrip(",")
    return finish(". ".join([text, *after]), rng)


AGAIN = ("again", "once more", "as before", "")


def again(told: Told, act: Act | None, rng: random.Random) -> str:
    """A caption of what was shown before: it names no colour, so that who draws it must look there. ``act``: the only deed there is."""
    speaker = Speaker(told, rng, terse=False)
    things = "the same " + (speaker.nouns[told.things[0].shape] if len(told.things) == 1 else rng.choice(("things", "objects")))
    parts = [f"{things} {rng.choice(AGAIN)}".strip()]
    if act is not None and len(told.things) == 1:
        parts = [f"{things} {speaker.deed(act, 0)}"]
    elif act is not None:
        parts.append(f"the {speaker.nouns[told.things[act.actor].shape]} {speaker.deed(act, 0)}")
    scenery = ((told.floor, FLOORS), (told.light, LIGHTS), (told.camera, CAMERAS))
    return finish(", ".join(parts + [rng.choice(table[word][0]) for word, table in scenery if word is not None]), rng)


def finish(text: str, rng: random.Random) -> str:
    """Capitals and the last period, as people do or do not write them."""
    if rng.random() < 0.55:
        text = ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))
    return text + "." if rng.random() < 0.6 else text
