// A new key, shown this once; it knows nothing of who it is for.

import { button, h } from "../dom.js";
import { t } from "../i18n.js";
import { dialog } from "../parts/dialog.js";
import { copy } from "../parts/copy.js";

/** Show the secret, to be copied. */
export function showSecret(secret) {
  const text = h("pre", { class: "code key-secret", translate: "no", tabindex: "0" }, secret);
  dialog(t("keys.made"), (close) => [h("p", {}, t("keys.once")), text,
    h("footer", { class: "row end" }, button(t("code.copy"), () => copy(secret, text)), button(t("close"), close, { kind: "main" }))], { class: "wide" });
}
