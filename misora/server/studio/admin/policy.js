// The policy tester: what the rules of this server say of a text, by which rule and how fast, without making anything.

import { post } from "../api.js";
import { button, fill, h } from "../dom.js";
import { number, t } from "../i18n.js";
import { busy } from "../toast.js";

/** Show the tab. */
export function show(body) {
  const text = h("textarea", { rows: 4, id: "policy-text", dir: "auto" }), answer = h("div", { role: "status", class: "report" });
  const go = button(t("policy.test"), () => busy(go, async () => {
    if (!text.value.trim()) return;
    const told = await post("/misora/policy", { text: text.value });
    const facts = [["category", told.category], ["rule", told.rule], ["version", told.version]].filter(([, value]) => value).map(([name, value]) => [name, h("span", { translate: "no" }, value)]);
    facts.push(["time", t("policy.ms", { n: number(told.milliseconds) })]);
    if (told.unchecked.length) facts.push(["unseen", told.unchecked.map((each) => t(`unseen.${each}`)).join(", ")]);
    fill(answer, h("p", { class: `verdict ${told.verdict === "allow" ? "ours" : "changed"}` }, h("b", {}, t(`policy.${told.verdict}`))),
      h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, t(`policy.${name}`)), h("dd", {}, value)))));
  }), { kind: "main" });
  fill(body, h("section", { class: "panel" }, h("label", { htmlFor: "policy-text" }, t("policy.label")), text, h("footer", { class: "row end" }, go), answer));
}
