// Drop any file and read who signed it and whether it was made here; it keeps nothing.

import { call } from "../api.js";
import { fill, h } from "../dom.js";
import { t, trouble } from "../i18n.js";
import { dropPlace } from "../parts/drop.js";
import { told } from "../parts/provenance.js";

/** Show the page. */
export function show(main) {
  const result = h("div", { class: "report", role: "status", "aria-live": "polite" });
  const box = h("section", { class: "panel verify-box" });
  const place = dropPlace({ label: t("verify.drop"), accept: ["image", "video"], zone: box, changed: (file) => ask(file) });

  async function ask(file) {
    if (!file) { fill(result); return; }
    fill(result, h("p", { class: "hint" }, t("provenance.looking")));
    const form = new FormData();
    form.append("file", file);
    try {
      fill(result, told(await call("POST", "/verify", form)));
    } catch (error) {
      fill(result, h("p", { class: "wrong" }, trouble(error)));
    }
  }

  fill(box, place.element, result);
  fill(main, h("header", { class: "page-head" }, h("h1", {}, t("verify.title")), h("p", { class: "lead" }, t("verify.lead"))), box,
    h("p", { class: "hint" }, t("verify.kept")));
}
