// The panel of each verb: its own controls, and the request that they make; it knows nothing of the page around.

import { get } from "../api.js";
import { button, choices, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { sent } from "../parts/form.js";
import { picture } from "../parts/clip.js";
import { pick } from "../parts/picker.js";
import { timeline } from "../parts/timeline.js";
import { maskPainter } from "./mask.js";

const STRENGTHS = { subtle: 0.6, mild: 0.8, strong: 0.9 };
const SHORTEST = 0.25; // seconds that a span keeps
const source = (video) => (video.file ? video.file : { id: video.id });
const seconds = (value) => Math.round(Number(value) * 1000) / 1000;

/** How much changes: named, or a number. */
function strength(first = "mild") {
  let value = STRENGTHS[first];
  const slider = h("input", { type: "range", min: 0, max: 1, step: 0.05, value, "aria-label": t("remix.custom"), oninput: () => { value = Number(slider.value); told.textContent = value.toFixed(2); } });
  const told = h("output", {}, value.toFixed(2));
  const custom = h("div", { class: "row", hidden: true }, slider, told);
  const element = h("div", {}, choices(t("remix.strength"), [...Object.keys(STRENGTHS), "custom"].map((name) => [name, t(`remix.${name}`)]), first, (name) => {
    custom.hidden = name !== "custom";
    value = STRENGTHS[name] ?? Number(slider.value);
    slider.value = value;
    told.textContent = value.toFixed(2);
  }), custom);
  return { element, value: () => value };
}

function remix(video) {
  const much = strength();
  return { element: much.element, ask: (prompt, tuning) => (video.file
    ? ["/videos/edits", sent({ prompt, video: video.file, strength: much.value(), ...tuning })]
    : [`/videos/${video.id}/remix`, { prompt, strength: much.value(), ...tuning }]) };
}

function recut(video) {
  const all = Number(video.seconds);
  let anew = true;
  const spans = ({ from, to }) => (anew ? [{ kind: "anew", from, to, label: t("recut.anew.here") }] : [{ kind: "away", from: 0, to: from }, { kind: "away", from: to, to: all }]);
  const line = timeline({
    seconds: all, clips: [{ id: video.id, seconds: all }], moved: () => {}, spans,
    handles: [
      { name: "from", label: t("timeline.from"), value: all / 4, least: 0, most: (now) => now.to - SHORTEST },
      { name: "to", label: t("timeline.to"), value: all * 3 / 4, least: (now) => now.from + SHORTEST, most: all },
    ],
  });
  const way = choices(t("recut.way"), [["anew", t("recut.anew")], ["keep", t("recut.keep")]], "anew", (value) => { anew = value === "anew"; line.set("from", line.values().from); });
  const [width, height] = video.size.split("x").map(Number);
  return { element: h("div", {}, way, line.element), ask: (prompt, tuning) => {
    const { from, to } = line.values();
    return ["/videos/edits", sent(anew
      ? { prompt, video: source(video), inpaint: { x: 0, y: 0, width, height, from, to }, ...tuning }
      : { prompt, video: source(video), trim: { from, to }, strength: 0, ...tuning })];
  } };
}

function extend(video) {
  const all = Number(video.seconds);
  let backward = false;
  const place = h("div");
  let line = null;
  function draw() {
    const ghost = { name: "new", seconds: (now) => now.more, label: t("extend.new") };
    const clip = { id: video.id, seconds: (now) => now.to - now.from };
    const start = (now) => (backward ? now.more : 0);
    const old = line?.values() || { from: 0, to: all, more: 4 };
    line = timeline({
      seconds: (now) => now.to - now.from + now.more, clips: backward ? [ghost, clip] : [clip, ghost], moved: () => {},
      spans: (now) => [{ kind: "anew", from: backward ? 0 : now.to - now.from, to: backward ? now.more : now.to - now.from + now.more, label: t("span.seconds", { n: Math.round(now.more) }) }],
      handles: [
        { name: "from", label: t("extend.from"), value: old.from, least: 0, most: (now) => now.to - SHORTEST, at: start, from: (spot, now) => now.from + spot - start(now) },
        { name: "to", label: t("extend.to"), value: old.to, least: (now) => now.from + SHORTEST, most: all, at: (now) => start(now) + now.to - now.from, from: (spot, now) => now.from + spot - start(now) },
        { name: "more", label: t("extend.more"), value: old.more, least: 4, most: 20, step: 1, key: 1, reverse: false,
          at: (now) => (backward ? 0 : now.to - now.from + now.more), from: (spot, now) => (backward ? now.more - spot : spot - (now.to - now.from)) },
      ],
    });
    fill(place, line.element);
  }
  draw();
  const way = choices(t("extend.way"), [["after", t("extend.after")], ["before", t("extend.before")]], "after", (value) => { backward = value === "before"; draw(); });
  return { element: h("div", {}, way, place, h("p", { class: "hint" }, t("extend.hint"))), ask: (prompt, tuning) => {
    const { from, to, more } = line.values();
    const trim = from > 0.01 || to < all - 0.01 ? { from: seconds(from), to: seconds(to) } : undefined;
    return ["/videos/extensions", sent({ prompt, video: source(video), seconds: String(Math.round(more)), backward: backward || undefined, trim, ...tuning })];
  } };
}

function blend(video) {
  const place = h("div", { class: "blend" });
  let other = null, line = null;
  const choose = () => pick(async (chosen) => { other = await get(`/misora/videos/${chosen.id}`); draw(); }, { without: video.id });
  function draw() {
    if (!other) { fill(place, button(t("blend.choose"), choose, { kind: "plain", glyph: "library" })); return; }
    const a = Number(video.seconds), b = Number(other.seconds);
    line = timeline({
      seconds: (now) => a + now.gap + b, moved: () => {},
      clips: [{ id: video.id, seconds: a }, { name: "gap", seconds: (now) => now.gap }, { id: other.id, seconds: b }],
      spans: (now) => [{ kind: "anew", from: a, to: a + now.gap, label: t("timeline.at", { n: now.gap.toFixed(1) }) }],
      handles: [{ name: "gap", label: t("blend.gap"), value: line?.values().gap || 2, least: 0.5, most: 10, step: 0.25, key: 0.25, at: (now) => a + now.gap, from: (spot) => spot - a }],
    });
    fill(place, line.element, h("div", { class: "row" }, h("div", { class: "small" }, picture(other)), h("p", { class: "words", translate: "no", dir: "auto" }, other.prompt || t("clip.untitled")), button(t("blend.other"), choose, { kind: "quiet" })));
  }
  draw();
  return { element: place, ready: () => (other ? "" : t("blend.choose")), ask: (prompt, tuning) => ["/videos/edits", sent({ prompt, video: source(video), connect: { id: other.id }, gap: line.values().gap, ...tuning })] };
}

function loop(video) {
  let overlap = "normal";
  const element = choices(t("loop.overlap"), ["short", "normal", "full"].map((name) => [name, t(`loop.${name}`), t(`loop.${name}.more`)]), overlap, (value) => { overlap = value; });
  return { element: h("div", {}, element, h("p", { class: "hint" }, t("loop.hint"))), ask: (prompt, tuning) => ["/videos/edits", sent({ prompt, video: source(video), loop: overlap, ...tuning })] };
}

function inpaint(video) {
  const all = Number(video.seconds), much = strength("strong");
  const painter = maskPainter(video, video.address);
  const line = timeline({ seconds: all, clips: [{ id: video.id, seconds: all }], moved: () => {}, spans: ({ from, to }) => [{ kind: "anew", from, to }], handles: [
    { name: "from", label: t("timeline.from"), value: 0, least: 0, most: (now) => now.to - SHORTEST },
    { name: "to", label: t("timeline.to"), value: all, least: (now) => now.from + SHORTEST, most: all }] });
  const [width, height] = video.size.split("x").map(Number);
  return { element: h("div", {}, painter.element, h("p", { class: "legend" }, t("inpaint.when")), line.element, much.element), ask: async (prompt, tuning) => {
    const mask = await painter.file(), { from, to } = line.values();
    if (!mask) throw Object.assign(new Error(t("inpaint.nothing")), { code: "nothing_painted" });
    const whole = from < 0.01 && to > all - 0.01;
    return ["/videos/edits", sent({ prompt, video: source(video), mask, inpaint: whole ? undefined : { x: 0, y: 0, width, height, from, to }, strength: much.value(), ...tuning })];
  } };
}

/** The verbs in the order in which they are shown. */
export const VERBS = { remix, recut, extend, blend, loop, inpaint };
