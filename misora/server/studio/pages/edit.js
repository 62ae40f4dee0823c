// Edit one clip: a tab for each verb, beside the clip itself; it knows nothing of what the verbs ask for.

import { fileOf, get, post } from "../api.js";
import { button, field, fill, h, icon } from "../dom.js";
import { t, trouble } from "../i18n.js";
import { note } from "../live.js";
import { shape } from "../parts/clip.js";
import { promptField } from "../parts/prompt.js";
import { VERBS } from "../edit/verbs.js";
import { busy, toast } from "../toast.js";

const GLYPHS = { remix: "remix", recut: "cut", extend: "extend", blend: "blend", loop: "loop", inpaint: "brush" };
let brought = null;

/** Keep a file that was dropped elsewhere, for the page to begin from. */
export function carry(file) { brought = file; }

/** Show the page. */
export async function show(main, { rest, query, go }) {
  let video;
  try {
    video = query.has("upload") ? await uploaded() : await get(`/misora/videos/${encodeURIComponent(rest[0] || "")}`);
  } catch (error) {
    fill(main, h("section", { class: "empty" }, h("h1", {}, t("watch.none")), h("p", {}, trouble(error)), h("a", { class: "button main", href: "/library" }, t("nav.library"))));
    return undefined;
  }
  let verb = query.get("verb") in VERBS ? query.get("verb") : "remix";
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": t("watch.verbs") });
  const body = h("div", { class: "tab-body", role: "tabpanel", id: "edit-panel", tabindex: "-1" });
  const prompt = promptField({ value: query.get("prompt") || video.prompt || "", label: t("edit.prompt"), placeholder: t("edit.placeholder"), rows: 2 });
  const seed = h("input", { type: "number", min: 0, class: "short", placeholder: t("make.seed.any") });
  const submit = button(t("make.go"), () => make(), { kind: "main", glyph: "make", title: "Ctrl + Enter" });
  let panel = null;

  function turn(name, focus = false) {
    verb = name;
    panel = VERBS[name](video);
    fill(tabs, Object.keys(VERBS).map((each) => h("button", { type: "button", role: "tab", id: `tab-${each}`, "aria-selected": String(each === name), "aria-controls": "edit-panel", tabindex: each === name ? "0" : "-1", onclick: () => turn(each), onkeydown: keyed }, icon(GLYPHS[each]), h("span", {}, t(`edit.${each}`)))));
    body.setAttribute("aria-labelledby", `tab-${name}`);
    fill(body, h("p", { class: "hint" }, t(`edit.${name}.more`)), panel.element);
    if (!video.file) history.replaceState(null, "", `/edit/${video.id}?verb=${name}`);
    if (focus) tabs.querySelector("[aria-selected=true]").focus();
  }

  function keyed(event) {
    const names = Object.keys(VERBS), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); turn(names[(names.indexOf(verb) + step + names.length) % names.length], true); }
  }

  async function make() {
    const missing = !prompt.value.trim() ? t("make.empty") : panel.ready?.();
    if (missing) { toast(missing, { kind: "error" }); return; }
    await busy(submit, async () => {
      try {
        const [path, request] = await panel.ask(prompt.value, seed.value === "" ? {} : { seed: Number(seed.value) });
        const job = await post(path, request);
        note({ ...job, misora: { verb, stage: "", position: 0, parents: [video.id] } });
        go(`/watch/${job.id}`);
      } catch (error) {
        if (error.code !== "nothing_painted") throw error;
        toast(error.message, { kind: "error" });
      }
    });
  }

  const film = h("video", { src: video.address || fileOf(video.id), controls: true, loop: true, muted: true, playsInline: true, preload: "metadata", "aria-label": video.prompt || t("clip.untitled") });
  const form = h("section", { class: "edit-form", onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); make(); } } },
    tabs, body, prompt.element, h("footer", { class: "row between" }, field(t("make.seed"), seed), submit));
  fill(main, h("h1", { class: "unseen" }, t("nav.edit")), h("div", { class: "editor" }, h("div", { class: "edit-clip" }, h("div", { class: "stage", style: { "--shape": shape(video) } }, film),
    h("p", { class: "words" }, h("a", { href: video.file ? "/library" : `/watch/${video.id}` }, icon("left"), h("span", { translate: "no", dir: "auto" }, video.prompt || t("clip.untitled"))))), form));
  turn(verb);
  return () => { if (video.address) URL.revokeObjectURL(video.address); };
}

async function uploaded() {
  if (!brought) throw Object.assign(new Error(t("edit.lost")), { code: "lost" });
  const address = URL.createObjectURL(brought), film = h("video", { src: address, muted: true, preload: "auto" });
  await new Promise((resolve, reject) => { film.onloadedmetadata = resolve; film.onerror = () => reject(Object.assign(new Error(t("edit.unreadable")), { code: "unreadable" })); });
  const even = (side) => side - side % 2;
  return { id: "", file: brought, address, prompt: "", seconds: String(Math.max(1, Math.round(film.duration))), size: `${even(film.videoWidth)}x${even(film.videoHeight)}`, status: "completed", misora: {} };
}
