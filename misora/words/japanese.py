"""Japanese: the words for everything in the scene graph and how they become a caption; it knows nothing of other languages."""

from __future__ import annotations

import random

from misora.words.graph import Act
from misora.words.plan import Line, Move, Place, Say, plan
from misora.words.told import Told

Forms = tuple[str, str, str]  # plain, polite, and the form that a further clause follows
Deed = tuple[str, Forms]  # what precedes the verb, and the verb


def deeds(before: str, *verbs: str) -> tuple[Deed, ...]:
    """Verbs given as "plain stem", or as "plain stem te-form" where they may also be going on (転がっている)."""
    forms: list[Forms] = []
    for verb in verbs:
        plain, stem, *te = verb.split()
        forms.append((plain, stem + "ます", stem + "て" if plain.endswith("ている") else stem))
        forms += [(ongoing + "いる", ongoing + "います", ongoing + "いて") for ongoing in te]
    return tuple((before, form) for form in forms)


COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("赤い", "赤い", "赤の", "赤色の", "あかい"),
    "orange": ("オレンジ色の", "オレンジの", "橙色の", "だいだい色の"),
    "yellow": ("黄色い", "黄色い", "黄色の", "きいろい"),
    "green": ("緑の", "緑の", "緑色の", "みどりの"),
    "cyan": ("シアンの", "シアン色の", "水色の"),
    "blue": ("青い", "青い", "青の", "青色の", "あおい"),
    "purple": ("紫の", "紫色の", "むらさきの"),
    "pink": ("ピンクの", "ピンク色の", "桃色の"),
    "brown": ("茶色い", "茶色の", "ちゃいろい"),
    "white": ("白い", "白い", "白の", "白色の", "しろい"),
    "grey": ("灰色の", "灰色の", "グレーの"),
    "black": ("黒い", "黒い", "黒の", "黒色の", "くろい"),
}
BARE_COLOURS = {"red": "赤", "orange": "オレンジ色", "yellow": "黄色", "green": "緑", "cyan": "シアン", "blue": "青", "purple": "紫"}
BARE_COLOURS |= {"pink": "ピンク", "brown": "茶色", "white": "白", "grey": "灰色", "black": "黒"}
SHAPES: dict[str, tuple[str, ...]] = {
    "ball": ("ボール", "ボール", "球", "玉", "球体"),
    "cube": ("立方体", "立方体", "キューブ", "箱"),
    "cylinder": ("円柱", "円柱", "円筒"),
    "cone": ("円錐", "円すい", "コーン"),
    "capsule": ("カプセル",),
    "block": ("直方体", "ブロック", "レンガ"),
    "pyramid": ("ピラミッド", "四角錐"),
    "egg": ("卵", "たまご", "タマゴ"),
}
SIZES = {"small": ("小さな", "小さい", "ちいさな"), "medium": ("中くらいの", "中型の"), "large": ("大きな", "大きい", "おおきな")}
# {d} is a direction, {x} the target.
VERBS: dict[str, tuple[Deed, ...]] = {
    "stay": (
        *deeds("", "止まっている 止まってい", "じっとしている じっとしてい", "静止している 静止してい", "とどまる とどまり"),
        ("", ("動かない", "動きません", "動かず")),
        ("", ("静止したままだ", "静止したままです", "静止したままで")),
    ),
    "roll": deeds("{d}", "転がる 転がり 転がって", "ころがる ころがり ころがって", "転がっていく 転がっていき"),
    "slide": deeds("{d}", "滑る 滑り 滑って", "すべる すべり すべって", "スライドする スライドし スライドして"),
    "fall": (*deeds("{d}", "落ちる 落ち", "落下する 落下し", "落ちてくる 落ちてき"), *deeds("{d}上から", "落ちてくる 落ちてき")),
    "bounce": (
        *deeds("{d}", "弾む 弾み 弾んで", "はずむ はずみ はずんで", "跳ねる 跳ね 跳ねて", "はねる はね はねて"),
        *deeds("{d}", "バウンドする バウンドし バウンドして"),
    ),
    "throw": (
        *deeds("{d}", "投げられる 投げられ", "放り投げられる 放り投げられ", "飛んでいく 飛んでいき"),
        *deeds("{d}投げられて", "飛ぶ 飛び"),
        *deeds("弧を描いて{d}", "飛ぶ 飛び"),
    ),
    "collide": (
        *deeds("{x}に", "ぶつかる ぶつかり", "衝突する 衝突し", "当たる 当たり"),
        *deeds("{d}動いて{x}に", "ぶつかる ぶつかり", "衝突する 衝突し", "当たる 当たり"),
        *deeds("{d}進んで{x}に", "ぶつかる ぶつかり", "衝突する 衝突し", "当たる 当たり"),
    ),
    "topple": deeds("{d}", "倒れる 倒れ", "たおれる たおれ", "転倒する 転倒し"),
    "stack": deeds("{x}の上に", "積まれる 積まれ", "置かれる 置かれ", "乗る 乗り", "重ねられる 重ねられ"),
    "spin": (
        *deeds("{d}", "回る 回り 回って", "回転する 回転し 回転して", "まわる まわり まわって"),
        *deeds("{d}その場で", "回る 回り 回って", "回転する 回転し 回転して"),
    ),
    "pass_behind": (
        *deeds("{x}の後ろを{d}", "通る 通り", "通り過ぎる 通り過ぎ"),
        *deeds("{x}の陰を{d}", "通る 通り"),
        *deeds("{d}動いて{x}の後ろを", "通る 通り", "通り過ぎる 通り過ぎ"),
        *deeds("{d}動いて{x}の後ろに隠れ、また", "出てくる 出てき"),
    ),
    "break": (
        *deeds("", "壊れる 壊れ", "こわれる こわれ", "砕ける 砕け", "割れる 割れ", "砕け散る 砕け散り"),
        *deeds("", "粉々になる 粉々になり", "ばらばらになる ばらばらになり"),
    ),
}
SIDE = {"left": "左", "right": "右"}
WAYS = ("{}へ", "{}へ", "{}に", "{}の方へ", "{}のほうへ", "{}方向へ", "{other}から{}へ", "{other}から{}に")
PLACES = {
    "left_of": (("の左に", "の左側に"), ("の右に", "の右側に")),
    "in_front_of": (("の前に", "の手前に"), ("の後ろに", "の奥に", "のうしろに")),
    "on_top_of": (("の上に",), ("の下に",)),
}
THERE = deeds("", "ある あり", "ある あり", "見える 見え", "置かれている 置かれてい")
IN_A_ROW = deeds("", "並ぶ 並び 並んで")
# (before a deed, bare and after "the floor is")
Scenery = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
FLOORS: Scenery = {
    "wooden": (("木の床の上で", "木の床で", "木製の床で", "フローリングの上で"), ("木の床", "木製の床", "フローリング")),
    "grass": (("草の上で", "芝生の上で", "芝生で", "草地で"), ("草", "芝生", "草地")),
    "stone": (("石の床の上で", "石の床で", "石の上で"), ("石の床", "石")),
    "tiled": (("タイルの床の上で", "タイルの床で", "タイル張りの床で", "タイルの上で"), ("タイルの床", "タイル張り", "タイル")),
    "snowy": (("雪の上で", "雪の地面で"), ("雪", "雪の地面")),
    "sandy": (("砂の上で", "砂地で", "砂の地面で"), ("砂", "砂地")),
    "carpet": (("カーペットの上で", "じゅうたんの上で", "絨毯の上で"), ("カーペット", "じゅうたん", "絨毯")),
    "plain": (("無地の床で", "無地の床の上で"), ("無地の床", "無地")),
}
LIGHTS: Scenery = {
    "day": (("昼間に", "日中に", "昼に"), ("昼", "昼間", "日中")),
    "sunset": (("夕方に", "夕暮れに", "夕日の中で"), ("夕方", "夕暮れ", "日没")),
    "night": (("夜に", "夜間に", "夜の中で"), ("夜", "夜間")),
}
STYLES: Scenery = {
    "realistic": (("写実的に", "リアルな映像で"), ("リアル", "写実的")),
    "toon": (("アニメ風に", "アニメ調で", "漫画風に"), ("アニメ風", "アニメ調", "漫画風")),
    "clay": (("粘土風に", "クレイアニメ風に"), ("粘土風", "クレイアニメ風", "クレイアニメ")),
    "monochrome": (("白黒で", "モノクロで", "白黒映像で"), ("白黒", "モノクロ", "白黒映像")),
}
CAMERAS: dict[str, tuple[Deed, ...]] = {
    "still": (("カメラは", ("動かない", "動きません", "動かず")), ("カメラは", ("固定だ", "固定です", "固定で"))),
    "zoom_in": deeds("カメラが", "ズームインする ズームインし", "寄る 寄り"),
    "zoom_out": deeds("カメラが", "ズームアウトする ズームアウトし", "引く 引き"),
}
for _key, _side in SIDE.items():
    CAMERAS["pan_" + _key] = tuple(d for to in "へに" for d in deeds(f"カメラが{_side}{to}", "パンする パンし", "振られる 振られ"))
    CAMERAS["orbit_" + _key] = tuple(d for to in "へに" for d in deeds(f"カメラが{_side}{to}", "回り込む 回り込み", "周回する 周回し"))
COUNTS = (
    *(("0",), ("1つの",), ("2つの", "二つの", "ふたつの", "2個の"), ("3つの", "三つの", "3個の")),
    *(("4つの", "四つの", "4個の"), ("5つの", "五つの", "5個の")),
)
AFTER_NOUN = {"roll": "転がる", "slide": "滑る", "fall": "落ちる", "bounce": "弾む", "spin": "回る", "stay": "止まっている"}
# Words of the grammar below and others that a prompt may use without meaning anything that the tables do not say.
FUNCTION_WORDS = """
が は を に で へ と の も や から まで 、 。 「 」 ある あります いる います です だ する します している しています
もう一つの もうひとつの その それ この そして また 床 壁 上 下 中 左 右 前 後ろ 時間 画風 して した され ている
左から順に 右から順に 左から 右から 左右 順に どちらも 映像 動画 場面 カメラ 物体 物 もの
同じ もう一度 映る 色 形 こと ように ます ました ない 静止したまま 個の 個 つの つ
"""


class Speaker:
    """Puts one Told into words; remembers which things the listener has met."""

    def __init__(self, told: Told, rng: random.Random, terse: bool) -> None:
        self.told, self.rng, self.terse = told, rng, terse
        self.polite = int(rng.random() < 0.45)
        self.nouns = {thing.shape: rng.choice(SHAPES[thing.shape]) for thing in told.things}
        self.shapes = [thing.shape for thing in told.things]
        self.met: list[int] = []

    def name(self, i: int) -> str:
        """Size, colour and shape."""
        thing = self.told.things[i]
        size = self.rng.choice(SIZES[thing.size]) if thing.size else ""
        return size + self.rng.choice(COLOURS[thing.colour]) + self.nouns[thing.shape]

    def new(self, i: int) -> str:
        """A first mention; a double of something met before is もう一つの."""
        look = (self.told.things[i].colour, self.told.things[i].shape)
        again = any((self.told.things[k].colour, self.told.things[k].shape) == look for k in self.met)
        self.met.append(i)
        return (self.rng.choice(("もう一つの", "もうひとつの")) if again else "") + self.name(i)

    def known(self, i: int) -> str:
        """A later mention: ボール, 赤いボール, それ."""
        thing, draw = self.told.things[i], self.rng.random()
        if len(self.told.things) == 1 and draw < 0.4:
            return "それ"
        if self.shapes.count(thing.shape) == 1 and draw < 0.4:
            return self.nouns[thing.shape]
        return ("その" if i in self.told.doubles() else "") + self.rng.choice(COLOURS[thing.colour]) + self.nouns[thing.shape]

    def mention(self, i: int) -> str:
        """The thing, as new or as known."""
        return self.known(i) if i in self.met else self.new(i)

    def crowd(self, things: tuple[int, ...]) -> str:
        """Several things as one subject: 2つの赤いボール, 赤と青の2つのボール, 赤いボールと青い立方体."""
        looks = [self.told.things[i] for i in things]
        if len(things) > 1 and not any(i in self.met for i in things):
            count = self.rng.choice(COUNTS[len(things)])
            if len(set(looks)) == 1:
                self.met += things
                return count + self.name(things[0])
            if len({(look.shape, look.size) for look in looks}) == 1 and not looks[0].size and not self.met and self.rng.random() < 0.6:
                self.met += things
                return "と".join(BARE_COLOURS[look.colour] for look in looks) + "の" + count + self.nouns[looks[0].shape]
        return "と".join([self.mention(i) for i in things])

    def deed(self, act: Act) -> Deed:
        """What precedes the verb, and the verb's forms."""
        choices = VERBS[act.verb]
        if act.direction:
            choices = tuple(c for c in choices if "{d}" in c[0]) or choices
        before, forms = self.rng.choice(choices)
        way = direction_words(act.direction, self.rng) if act.direction else ""
        aim = "" if "{x}" not in before else "壁" if act.target is None else self.mention(act.target)
        return before.format(d=way, x=aim), forms

    def clause(self, move: Move) -> Deed:
        """One move as a clause, its verb still to be put into a form."""
        if isinstance(move, Place):
            return self.place(move)
        if isinstance(move, Line):
            return self.line(move)
        fresh = not any(i in self.met for i in move.things)
        if move.act is None:
            return self.crowd(move.things) + "が", self.rng.choice(THERE)[1]
        if fresh and self.rng.random() < 0.12:
            return self.acting(move) + "が", self.rng.choice(THERE)[1]
        subject = self.crowd(move.things) + ("が" if fresh and self.rng.random() < 0.8 else "は")
        before, forms = self.deed(move.act)
        return subject + before, forms

    def acting(self, move: Say) -> str:
        """左へ転がる赤いボール: the deed before the name."""
        assert move.act is not None
        if move.act.verb in AFTER_NOUN and self.rng.random() < 0.3:
            way = direction_words(move.act.direction, self.rng) if move.act.direction else ""
            return way + AFTER_NOUN[move.act.verb] + self.crowd(move.things)
        before, forms = self.deed(move.act)
        return before + adnominal(forms) + self.crowd(move.things)

    def place(self, move: Place) -> Deed:
        """Where one thing stands by another."""
        r = move.relation
        first, second = (r.b, r.a) if move.turned else (r.a, r.b)
        side = self.rng.choice(PLACES[r.kind][int(move.turned)])
        if first in self.met or self.rng.random() < 0.4:
            a = self.mention(first)
            return f"{a}は{self.mention(second)}{side}", THERE[0][1]
        b = self.mention(second)
        return f"{b}{side}{self.new(first)}が", self.rng.choice(THERE[:3])[1]

    def line(self, move: Line) -> Deed:
        """All things in their order."""
        self.met, parts = [], []
        for i in move.things:
            act, earlier = self.told.acts[i], list(self.met)
            self.met = list(range(len(self.told.things)))  # targets named here are all in the row
            before, forms = self.deed(act) if act and move.acting else ("", ("", "", ""))
            self.met = earlier
            parts.append(before + adnominal(forms) + self.new(i))
        start, end = ("右", "左") if move.turned else ("左", "右")
        way = self.rng.choice((f"{start}から順に、", f"{start}から順に", f"{start}から{end}へ", f"{start}から"))
        return way + "、".join(parts) + "が", self.rng.choice(IN_A_ROW)[1]

    def fragment(self, move: Move) -> str:
        """One move without its predicate, for terse captions."""
        if isinstance(move, Say):
            return self.crowd(move.things) if move.act is None else self.acting(move)
        before, _ = self.clause(move)
        return before.rstrip("がは")


def adnominal(forms: Forms) -> str:
    """The plain form as it stands before a noun."""
    return forms[0].removesuffix("だ") + ("の" if forms[0].endswith("だ") else "")


def direction_words(direction: str, rng: random.Random) -> str:
    """One way to say left or right as a direction."""
    return rng.choice(WAYS).format(SIDE[direction], other=SIDE["right" if direction == "left" else "left"])


def phrase(told: Told, rng: random.Random, terse: bool) -> str:
    """A caption that states exactly the facts of ``told``: a list of fragments when ``terse``, else sentences."""
    speaker = Speaker(told, rng, terse)
    moves = plan(told, rng)
    if terse:
        return "、".join([speaker.fragment(move) for move in moves] + _bare(told, rng))
    front: list[str] = []
    after: list[str] = []
    for topic, word, table in (("床は", told.floor, FLOORS), ("時間は", told.light, LIGHTS), ("画風は", told.style, STYLES)):
        if word is None:
            continue
        within, bare = table[word]
        if rng.random() < 0.75:
            front.append(rng.choice(within) + rng.choice(("、", "")))
        else:
            after.append(topic + rng.choice(bare) + ("だ", "です")[speaker.polite])
    if told.camera is not None:
        lens, forms = rng.choice(CAMERAS[told.camera])
        after.append(lens + forms[speaker.polite])
    rng.shuffle(front)
    rng.shuffle(after)
    text = "".join(front) + _joined([speaker.clause(move) for move in moves], speaker.polite, rng)
    return "。".join([text, *after]) + rng.choice(("。", "。", "。", ""))


AGAIN = ("をもう一度", "がもう一度", "がまた映る", "")


def again(told: Told, act: Act | None, rng: random.Random) -> str:
    """A caption of what was shown before: it names no colour, so that who draws it must look there. ``act``: the only deed there is."""
    speaker = Speaker(told, rng, terse=False)
    things = "同じ" + (speaker.nouns[told.things[0].shape] if len(told.things) == 1 else rng.choice(("もの", "物体")))
    front = "".join(rng.choice(table[word][0]) for word, table in ((told.floor, FLOORS), (told.light, LIGHTS)) if word is not None)
    if act is None:
        return front + things + rng.choice(AGAIN) + rng.choice(("。", ""))
    before, forms = speaker.deed(act)
    actor = things if len(told.things) == 1 else f"{things}、{speaker.nouns[told.things[act.actor].shape]}"
    return front + actor + "が" + before + forms[speaker.polite] + rng.choice(("。", ""))


def _bare(told: Told, rng: random.Random) -> list[str]:
    """The scenery in fragments."""
    tables = ((told.floor, FLOORS), (told.light, LIGHTS), (told.style, STYLES))
    parts = [rng.choice(table[word][1]) for word, table in tables if word is not None]
    if told.camera is not None:
        lens, forms = rng.choice(CAMERAS[told.camera])
        parts.append(lens + forms[0])
    rng.shuffle(parts)
    return parts


def _joined(clauses: list[Deed], polite: int, rng: random.Random) -> str:
    """Clauses one after another, as one sentence or several."""
    text = ""
    for k, (before, forms) in enumerate(clauses):
        last = k == len(clauses) - 1
        go_on = not last and rng.random() < 0.5
        text += before + (forms[2] + "、" if go_on else forms[polite] + ("" if last else "。"))
    return text
