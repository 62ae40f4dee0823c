// Compose: a sentence, what belongs to it, and the button that makes; it knows nothing of how videos are shown.

import { get, post } from "../api.js";
import { button, choices, field, fill, h, select } from "../dom.js";
import { language, number, t } from "../i18n.js";
import { latest, note } from "../live.js";
import { dropPlace } from "../parts/drop.js";
import { sent } from "../parts/form.js";
import { cast, promptField } from "../parts/prompt.js";
import { card } from "../parts/clip.js";
import { hear, keep, kept } from "../state.js";
import { busy, toast } from "../toast.js";

const SIZES = { // by shape: quick, 720p, 1080p
  "16:9": ["704x384", "1280x720", "1920x1080"],
  "9:16": ["384x704", "720x1280", "1080x1920"],
  "1:1": ["512x512", "720x720", "1080x1080"],
  "4:3": ["608x456", "960x720", "1440x1080"],
  "3:4": ["456x608", "720x960", "1080x1440"],
  "21:9": ["832x356", "1680x720", "2520x1080"],
};
const FIRST = { prompt: "", aspect: "16:9", size: 0, seconds: 4, variations: 1, style: "", camera: "", seed: "", negative: "", model: "sora-2", guidance: "", steps: "", loop: false };
const MOST = 2 ** 31;

/** Show the page. */
export async function show(main, { query, go }) {
  const wish = { ...FIRST, ...kept("wish", {}) };
  for (const name of ["prompt", "seed", "style", "camera"]) if (query.has(name)) wish[name] = query.get(name);
  const files = { image: null, last: null };
  const [known, use] = await Promise.all([get("/misora/presets"), get("/misora/usage")]);
  const change = (name, value) => { wish[name] = value; keep("wish", { ...wish, prompt: field1.value.slice(0, 4000) }); cost(); };
  const box = h("section", { class: "compose", "aria-label": t("nav.make") });
  const fuller = h("p", { translate: "no", dir: "auto" }), expanded = h("details", { class: "expanded idle" }, h("summary", {}, t("make.expand")), fuller, button(t("make.expand.use"), () => useFuller(), { kind: "quiet" }));
  const dressed = h("p", { class: "hint" });

  const field1 = promptField({
    value: wish.prompt, label: t("make.prompt"), placeholder: t("make.placeholder"), changed: (text) => { wish.prompt = text; keep("wish", wish); },
    dress: () => ({ style: wish.style || undefined, camera: wish.camera || undefined }), told: (found) => expand(found),
    check: () => known.models.some((each) => each.id === wish.model && each.embedded),
  });
  const image = dropPlace({ label: t("make.image"), accept: ["image", "video"], zone: box, changed: (file) => came(file) });
  const last = dropPlace({ label: t("make.last"), accept: ["image"], changed: (file) => { files.last = file; } });
  last.element.hidden = true;

  function came(file) {
    if (file?.type.startsWith("video")) { import("./edit.js").then((module) => { module.carry(file); go("/edit?upload=1"); }); return; }
    files.image = file;
    last.element.hidden = !file;
    if (!file) last.clear();
  }

  function expand(answer) { // it comes late, so nothing that somebody may be pointing at gives way to it
    expanded.classList.toggle("idle", !answer);
    if (!answer) expanded.open = false;
    fuller.textContent = answer?.expanded || "";
    fill(dressed, answer && answer.prompt !== field1.value.trim() && (wish.style || wish.camera) && [t("make.sent"), " ", h("span", { translate: "no", dir: "auto" }, answer.prompt)]);
  }

  function useFuller() {
    field1.value = fuller.textContent;
    change("style", "");
    change("camera", "");
    style.value = camera.value = "";
    toast(t("make.expand.used"));
  }

  const style = select([["", t("make.style.none")], ...known.styles.map((each) => [each.name, t(`style.${each.name}`)])], wish.style, (value) => { change("style", value); field1.look(); });
  const camera = select([["", t("make.camera.none")], ...known.cameras.map((each) => [each.name, t(`camera.${each.name}`)])], wish.camera, (value) => { change("camera", value); field1.look(); });
  const seconds = h("input", { type: "range", min: known.seconds[0], max: known.seconds[1], step: 1, value: wish.seconds, oninput: () => { change("seconds", Number(seconds.value)); told.textContent = t("span.seconds", { n: seconds.value }); } });
  const told = h("output", {}, t("span.seconds", { n: wish.seconds }));
  const count = h("input", { type: "number", min: 1, max: 8, value: wish.variations, class: "short", oninput: () => change("variations", Math.max(1, Math.min(8, Number(count.value) || 1))) });
  const seed = h("input", { type: "number", min: 0, step: 1, value: wish.seed, placeholder: t("make.seed.any"), class: "short", oninput: () => change("seed", seed.value) });
  const negative = h("input", { type: "text", value: wish.negative, dir: "auto", oninput: () => change("negative", negative.value) });
  const steps = h("input", { type: "number", min: 1, max: 200, value: wish.steps, placeholder: t("make.usual"), class: "short", oninput: () => change("steps", steps.value) });
  const guidance = h("input", { type: "number", min: 1, max: 30, step: 0.5, value: wish.guidance, placeholder: t("make.usual"), class: "short", oninput: () => change("guidance", guidance.value) });
  const loop = h("input", { type: "checkbox", checked: wish.loop, onchange: () => change("loop", loop.checked) });
  const model = select(known.models.map((each) => [each.id, each.id]), wish.model, (value) => { change("model", value); field1.look(); }, { translate: "no" });
  const price = h("p", { class: "cost" });
  const cost = () => {
    const asked = wish.seconds * wish.variations;
    price.textContent = use.limit ? t("make.cost.of", { n: asked, left: number(Math.max(0, use.limit - use.seconds)) }) : t("make.cost", { n: asked });
  };
  const submit = button(t("make.go"), () => make(), { kind: "main", glyph: "make", title: "Ctrl + Enter" });

  async function make() {
    if (!field1.value.trim()) { toast(t("make.empty"), { kind: "error" }); field1.area.focus(); return; }
    await busy(submit, async () => {
      const named = await cast(field1.value);
      const text = wish.style || wish.camera ? (await post("/misora/prompts", { prompt: named.prompt.slice(0, 2000), style: wish.style || undefined, camera: wish.camera || undefined })).prompt : named.prompt;
      const first = wish.seed === "" ? Math.floor(Math.random() * MOST) : Number(wish.seed);
      const body = {
        prompt: text, model: wish.model, size: SIZES[wish.aspect][wish.size], seconds: String(wish.seconds), negative_prompt: wish.negative.trim(),
        guidance: wish.guidance ? Number(wish.guidance) : undefined, steps: wish.steps ? Number(wish.steps) : undefined, loop: wish.loop || undefined,
        characters: named.characters.length ? named.characters : undefined, input_reference: files.image, last_frame: files.last,
      };
      const made = [];
      for (let i = 0; i < wish.variations; i += 1) made.push(await post("/videos", sent({ ...body, seed: first + i })));
      made.forEach((job) => note({ ...job, misora: { verb: "generate", stage: "", position: 0, parents: [] } }));
      if (made.length === 1) go(`/watch/${made[0].id}`);
      else { toast(t("make.several", { n: made.length })); recent(); }
    });
  }

  box.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); make(); } });
  fill(box, field1.element, h("div", { class: "drops" }, image.element, last.element, expanded),
    h("div", { class: "controls" },
      choices(t("make.aspect"), Object.keys(SIZES).map((each) => [each, h("span", { class: "shape-choice", style: { "--shape": each.replace(":", "/") }, translate: "no" }, each)]), wish.aspect, (value) => change("aspect", value)),
      choices(t("make.size"), [0, 1, 2].map((each) => [each, t(`make.size.${each}`)]), wish.size, (value) => change("size", value)),
      h("div", { class: "field length" }, h("label", { htmlFor: seconds.id = "seconds" }, t("make.seconds")), h("div", { class: "row" }, seconds, told)),
      field(t("make.style"), style), field(t("make.camera"), camera), field(t("make.variations"), count)),
    h("details", { class: "more" }, h("summary", {}, t("make.more")),
      h("div", { class: "controls" }, field(t("make.seed"), seed), field(t("make.negative"), negative), field(t("make.guidance"), guidance), field(t("make.steps"), steps), field(t("make.model"), model),
        h("div", { class: "field" }, h("label", { class: "check" }, loop, h("span", {}, t("make.loop")))))),
    h("footer", {}, price, submit), dressed);
  cost();

  const strip = h("section", { class: "recent" });
  async function recent() {
    const page = await get("/misora/videos?limit=8");
    fill(strip, page.data.length ? [h("header", { class: "row between" }, h("h2", {}, t("make.recent")), h("a", { href: "/library" }, t("make.all", { n: number(page.total) }))),
      h("div", { class: "grid" }, page.data.map((video) => card(latest(video.id) ? { ...video, ...latest(video.id) } : video)))] : h("p", { class: "empty" }, t("make.first")));
  }
  fill(main, h("div", { class: "hero sky" }, h("h1", { lang: language }, t("make.title")), box), strip);
  if (matchMedia("(hover: hover)").matches) field1.area.focus(); // at once: later it would take the keyboard from whoever went on already
  await recent();
  return hear("finished", recent);
}
