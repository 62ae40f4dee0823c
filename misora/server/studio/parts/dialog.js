// A window over the page, closed by Escape or its button; it knows nothing of what it holds.

import { fill, h, iconButton, unique } from "../dom.js";
import { t } from "../i18n.js";

/** Open one; `build(close)` gives its content. It goes when it is closed. */
export function dialog(title, build, props = {}) {
  const name = unique("dialog");
  const body = h("div", { class: "dialog-body" });
  const box = h("dialog", { "aria-labelledby": name, ...props, onclose: () => box.remove() },
    h("header", {}, h("h2", { id: name }, title), iconButton("close", t("close"), () => box.close())), body);
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  fill(body, build((value) => { box.close(); return value; }));
  box.showModal();
  return box;
}
