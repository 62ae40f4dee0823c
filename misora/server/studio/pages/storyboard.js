// A storyboard: cards on a line of time, with words, pictures or clips; what lies between two cards leads from one to the next.

import { post } from "../api.js";
import { button, choices, field, fill, h, iconButton } from "../dom.js";
import { t } from "../i18n.js";
import { note } from "../live.js";
import { dataUrl, dropPlace } from "../parts/drop.js";
import { pick } from "../parts/picker.js";
import { picture } from "../parts/clip.js";
import { cast, promptField } from "../parts/prompt.js";
import { keep, kept } from "../state.js";
import { busy, toast } from "../toast.js";

const FIRST = { whole: "", seconds: 8, size: "704x384", seed: "", cards: [{ prompt: "", from: 0, to: 4 }, { prompt: "", from: 4, to: 8 }] };
const SHORT = 0.5; // seconds that a card lasts at least

/** Show the page. */
export async function show(main, { go }) {
  const board = kept("board", structuredClone(FIRST)), held = new Map();
  const track = h("div", { class: "board-track" }), list = h("div", { class: "cards" });
  const save = () => keep("board", board);
  const whole = promptField({ value: board.whole, label: t("board.whole"), placeholder: t("board.whole.hint"), rows: 2, changed: (text) => { board.whole = text; save(); } });
  const seconds = h("input", { type: "range", min: 4, max: 20, step: 1, value: board.seconds, oninput: () => { const before = board.seconds; board.seconds = Number(seconds.value); told.textContent = t("span.seconds", { n: board.seconds }); stretch(before); } });
  const told = h("output", {}, t("span.seconds", { n: board.seconds }));
  const seed = h("input", { type: "number", min: 0, step: 1, value: board.seed || "", placeholder: t("make.seed.any"), class: "short", oninput: () => { board.seed = seed.value; save(); } });
  const submit = button(t("make.go"), () => make(), { kind: "main", glyph: "make", title: "Ctrl + Enter" });
  const tidy = (value) => Math.round(value * 4) / 4;

  function stretch(before) {
    for (const card of board.cards) { card.from = tidy(card.from * board.seconds / before); card.to = tidy(card.to * board.seconds / before); }
    draw();
  }

  function bounds(place) {
    return [place ? board.cards[place - 1].to : 0, place < board.cards.length - 1 ? board.cards[place + 1].from : board.seconds];
  }

  function drawTrack() {
    const marks = Array.from({ length: board.seconds + 1 }, (_, second) => h("i", { style: { left: `${second / board.seconds * 100}%` } }, second % 2 ? "" : String(second)));
    fill(track, h("div", { class: "ruler", "aria-hidden": "true" }, marks), board.cards.map((card, place) => block(card, place)));
    save();
  }

  function block(card, place) {
    const box = h("div", { class: "block", style: { left: `${card.from / board.seconds * 100}%`, width: `${(card.to - card.from) / board.seconds * 100}%` } });
    const [first, last] = bounds(place);
    const grip = (kind, label) => {
      const control = h("button", { type: "button", class: `grip ${kind}`, role: "slider", "aria-label": t(label, { n: place + 1 }), "aria-valuemin": first, "aria-valuemax": last, "aria-valuenow": kind === "to" ? card.to : card.from, "aria-valuetext": `${card.from} – ${card.to}`, dataset: { grip: `${place}-${kind}` } }, kind === "move" ? h("span", { translate: "no", dir: "auto" }, `${place + 1} ${card.prompt}`) : null);
      const by = (delta) => {
        const long = card.to - card.from;
        if (kind === "from") card.from = Math.max(first, Math.min(card.to - SHORT, tidy(card.from + delta)));
        else if (kind === "to") card.to = Math.min(last, Math.max(card.from + SHORT, tidy(card.to + delta)));
        else { card.from = Math.max(first, Math.min(last - long, tidy(card.from + delta))); card.to = card.from + long; }
      };
      control.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 0.25, ArrowLeft: -0.25 }[event.key];
        if (!step) return;
        event.preventDefault();
        by(step);
        drawTrack();
        times();
        track.querySelector(`[data-grip="${place}-${kind}"]`).focus();
      });
      control.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        const start = event.clientX, old = { ...card };
        const drag = (move) => { Object.assign(card, { from: old.from, to: old.to }); by((move.clientX - start) / track.clientWidth * board.seconds); box.style.left = `${card.from / board.seconds * 100}%`; box.style.width = `${(card.to - card.from) / board.seconds * 100}%`; times(); };
        addEventListener("pointermove", drag);
        addEventListener("pointerup", () => { removeEventListener("pointermove", drag); drawTrack(); }, { once: true });
      });
      return control;
    };
    box.append(grip("from", "board.begin"), grip("move", "board.move"), grip("to", "board.end"));
    return box;
  }

  const times = () => list.querySelectorAll(".card-time").forEach((each, place) => { each.textContent = t("span.seconds", { n: `${board.cards[place].from} – ${board.cards[place].to}` }); });

  function draw() {
    drawTrack();
    fill(list, board.cards.map((card, place) => cardForm(card, place)), board.cards.length < 10 && button(t("board.add"), add, { kind: "plain", glyph: "make" }));
    times();
  }

  function cardForm(card, place) {
    const prompt = promptField({ value: card.prompt, label: t("board.card", { n: place + 1 }), placeholder: t("board.card.hint"), rows: 2, changed: (text) => { card.prompt = text; drawTrack(); } });
    const given = h("div", { class: "given" });
    const image = dropPlace({ label: t("board.image"), accept: ["image"], changed: (file) => { held.set(card, file); } });
    const clip = () => fill(given, card.video ? [h("div", { class: "small" }, picture({ id: card.video, status: "completed", size: "16x9" })), iconButton("close", t("board.unclip"), () => { delete card.video; save(); clip(); })] : [image.element, button(t("board.clip"), () => pick((chosen) => { card.video = chosen.id; save(); clip(); }), { kind: "quiet", glyph: "library" })]);
    clip();
    const cut = h("input", { type: "checkbox", checked: Boolean(card.cut), onchange: () => { card.cut = cut.checked; save(); } });
    return h("section", { class: "card" }, h("header", { class: "row between" }, h("span", { class: "card-time", translate: "no" }), iconButton("trash", t("board.remove", { n: place + 1 }), () => { board.cards.splice(place, 1); draw(); }, { disabled: board.cards.length < 2 })),
      prompt.element, given, place ? h("label", { class: "check" }, cut, h("span", {}, t("board.cut"))) : null);
  }

  function add() {
    const end = board.cards[board.cards.length - 1];
    if (board.seconds - end.to < SHORT) { const half = tidy((end.from + end.to) / 2); if (half - end.from < SHORT) { toast(t("board.full"), { kind: "error" }); return; } end.to = half; }
    board.cards.push({ prompt: "", from: end.to, to: board.seconds });
    draw();
    list.querySelectorAll("textarea")[board.cards.length - 1].focus();
  }

  async function make() {
    if (board.cards.some((card) => !card.prompt.trim())) { toast(t("board.empty"), { kind: "error" }); return; }
    await busy(submit, async () => {
      const general = board.whole.trim() || board.cards[0].prompt, told = [];
      let time = 0, characters = [];
      for (const card of board.cards) {
        if (card.from - time > 0.05) told.push({ prompt: time ? `${told[told.length - 1].prompt} ${card.prompt}`.slice(0, 2000) : general, seconds: card.from - time });
        const named = await cast(card.prompt), file = held.get(card);
        characters = [...characters, ...named.characters].filter((each, i, all) => all.findIndex((one) => one.id === each.id) === i).slice(0, 2);
        told.push({ prompt: named.prompt, seconds: card.to - card.from, cut: card.cut || undefined, video: card.video ? { id: card.video } : undefined, image: file && !card.video ? { image_url: await dataUrl(file) } : undefined });
        time = card.to;
      }
      if (board.seconds - time > 0.05) told.push({ prompt: general, seconds: board.seconds - time });
      const job = await post("/videos", { prompt: general, seconds: String(board.seconds), size: board.size, storyboard: told, seed: seed.value === "" ? undefined : Number(seed.value), characters: characters.length ? characters : undefined });
      note({ ...job, misora: { verb: "generate", stage: "", position: 0, parents: [] } });
      go(`/watch/${job.id}`);
    });
  }

  main.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit.isConnected) { event.preventDefault(); make(); } });
  fill(main, h("header", { class: "page-head" }, h("h1", {}, t("nav.storyboard")), h("p", { class: "lead" }, t("board.lead"))),
    h("section", { class: "board" }, track, h("p", { class: "hint" }, t("board.gaps")), list,
      whole.element, h("div", { class: "controls" }, choices(t("make.size"), [["704x384", "16:9"], ["384x704", "9:16"], ["512x512", "1:1"]], board.size, (value) => { board.size = value; save(); }), h("div", { class: "field length" }, h("label", { htmlFor: seconds.id = "board-seconds" }, t("make.seconds")), h("div", { class: "row" }, seconds, told)), field(t("make.seed"), seed)),
      h("footer", { class: "row between" }, button(t("board.clear"), () => { Object.assign(board, structuredClone(FIRST)); held.clear(); keep("board", undefined); go("/storyboard", { replace: true }); }, { kind: "quiet" }), submit)));
  draw();
  return undefined;
}

