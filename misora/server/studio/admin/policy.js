// The policy tester: what the rules of this server say of a sentence, without making anything.

import { post } from "../api.js";
import { button, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { busy } from "../toast.js";

/** Show the tab. */
export function show(body) {
  const text = h("textarea", { rows: 4, id: "policy-text", dir: "auto" }), answer = h("div", { role: "status", class: "report" });
  const go = button(t("policy.test"), () => busy(go, async () => {
    if (!text.value.trim()) return;
    const { misora } = (await post("/moderations", { input: text.value })).results[0];
    fill(answer, h("p", { class: `verdict ${misora.verdict === "allow" ? "ours" : "changed"}` }, h("b", {}, t(`policy.${misora.verdict}`))),
      h("dl", { class: "facts" }, ["category", "rule", "version"].filter((name) => misora[name]).map((name) => h("div", {}, h("dt", {}, t(`policy.${name}`)), h("dd", { translate: "no" }, misora[name])))));
  }), { kind: "main" });
  fill(body, h("section", { class: "panel" }, h("label", { htmlFor: "policy-text" }, t("policy.label")), text, h("footer", { class: "row end" }, go), answer));
}
