// Choose one of one's own finished clips; it knows nothing of what for.

import { get } from "../api.js";
import { debounced, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { sorry } from "../toast.js";
import { picture } from "./clip.js";
import { dialog } from "./dialog.js";

/** Open the chooser; `chosen(video)` is called with the choice. */
export function pick(chosen, { without = "" } = {}) {
  dialog(t("picker.title"), (close) => {
    const grid = h("div", { class: "picker-grid", role: "list" });
    const look = async (text = "") => {
      try {
        const found = await get(`/misora/videos?status=completed&limit=60&q=${encodeURIComponent(text)}`);
        const items = found.data.filter((video) => video.id !== without);
        fill(grid, items.map((video) => h("div", { role: "listitem" }, h("button", { type: "button", class: "picker-item", onclick: () => { close(); chosen(video); } },
          picture(video), h("span", { class: "words", translate: "no", dir: "auto" }, video.prompt || t("clip.untitled"))))),
        !items.length && h("p", { class: "empty" }, t("picker.none")));
      } catch (error) {
        sorry(error);
      }
    };
    look();
    return [h("input", { type: "search", placeholder: t("library.search"), "aria-label": t("library.search"), oninput: debounced((event) => look(event.target.value), 250) }), grid];
  }, { class: "wide" });
}
