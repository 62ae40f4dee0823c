// A table that can be read on a phone as well; it knows nothing of its rows.

import { h } from "../dom.js";

/** A table of `columns` [name, heading] and rows of cells by name. */
export function table(caption, columns, rows) {
  return h("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption }, h("table", {},
    h("thead", {}, h("tr", {}, columns.map(([, heading]) => h("th", { scope: "col" }, heading)))),
    h("tbody", {}, rows.map((row) => h("tr", { class: row.class || "" }, columns.map(([name, heading]) => h("td", { "data-heading": heading }, row[name] ?? "")))))));
}
