// The prompt's field: grows with its text, underlines words that the weights never read, offers nearer ones; it asks, others send.

import { get, post } from "../api.js";
import { debounced, fill, h } from "../dom.js";
import { t } from "../i18n.js";

const READ = 2000; // characters that the renderer reads

/** The field. `changed(text)` is called at every change; `dress()` gives style and camera for what the server says of the prompt; `check()` says whether unknown words matter to the model. */
export function promptField({ value = "", label, placeholder, changed = () => {}, dress = () => ({}), told = () => {}, check = () => true, rows = 3 }) {
  const id = `prompt-${Math.random().toString(36).slice(2)}`;
  const under = h("div", { class: "under", "aria-hidden": "true", translate: "no" });
  const words = h("div", { class: "unknown", "aria-live": "polite" });
  const area = h("textarea", { id, rows, value, placeholder, dir: "auto", spellcheck: "true", maxlength: "32000", translate: "no", oninput: input, onscroll: () => { under.scrollTop = area.scrollTop; } });
  const element = h("div", { class: "prompt" }, h("label", { htmlFor: id, class: "prompt-label" }, label), h("div", { class: "layers" }, under, area), words);
  let unknown = [], asked = 0;

  const look = debounced(async () => {
    const text = area.value, turn = ++asked;
    if (!text.trim()) { unknown = []; draw(); told(null); return; }
    try {
      const found = await post("/misora/prompts", { prompt: text.slice(0, READ), ...dress() });
      if (turn !== asked) return;
      unknown = check() ? found.unknown : [];
      draw();
      told(found);
    } catch { told(null); }
  }, 350);

  function input() { draw(); changed(area.value); look(); }

  function draw() {
    const text = area.value, names = unknown.map((each) => each.word).filter(Boolean);
    const pieces = names.length ? split(text, names) : [[text, false]];
    fill(under, pieces.map(([piece, odd]) => odd ? h("u", {}, piece) : piece), "\n");
    fill(words, unknown.slice(0, 6).map((each) => h("span", { class: "odd" }, h("b", { translate: "no" }, each.word), " ",
      each.nearest.length ? [t("prompt.nearest"), " ", each.nearest.map((near) => [h("button", { type: "button", class: "link", translate: "no", onclick: () => replace(each.word, near) }, near), " "])] : t("prompt.never"))));
    if (text.length > READ) words.append(h("span", { class: "odd" }, t("prompt.long", { n: READ })));
  }

  function replace(word, near) {
    const place = area.value.toLowerCase().indexOf(word.toLowerCase());
    if (place >= 0) area.value = area.value.slice(0, place) + near + area.value.slice(place + word.length);
    area.focus();
    input();
  }

  if (value) setTimeout(input);
  return { element, area, look, get value() { return area.value; }, set value(text) { area.value = text; input(); } };
}

function split(text, names) {
  const safe = names.sort((a, b) => b.length - a.length).map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const found = new RegExp(`(${safe.join("|")})`, "gi");
  return text.split(found).map((piece, place) => [piece, place % 2 === 1]);
}

/** The characters that a prompt names with @, at most two, and the prompt without the signs. */
export async function cast(prompt) {
  if (!prompt.includes("@")) return { prompt, characters: [] };
  const known = (await get("/misora/characters")).data.sort((a, b) => b.name.length - a.name.length);
  const characters = [];
  let text = prompt;
  for (const each of known) {
    if (!text.toLowerCase().includes(`@${each.name.toLowerCase()}`) || characters.length > 1) continue;
    characters.push({ id: each.id });
    const place = text.toLowerCase().indexOf(`@${each.name.toLowerCase()}`);
    text = text.slice(0, place) + text.slice(place + 1);
  }
  return { prompt: text, characters };
}
