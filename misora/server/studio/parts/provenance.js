// Who signed a file, with what it was made, and whether it carries our mark, in plain words; it knows nothing of cryptography.

import { get } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { t } from "../i18n.js";

/** A panel that asks when it is opened. */
export function panel(video) {
  const body = h("div", { class: "report" }, h("p", { class: "hint" }, t("provenance.looking")));
  const box = h("details", { class: "provenance" }, h("summary", {}, icon("verify"), h("span", {}, t("provenance.title"))), body);
  box.addEventListener("toggle", () => {
    if (!box.open || box.dataset.asked) return;
    box.dataset.asked = "yes";
    get(`/misora/videos/${video.id}/provenance`).then((report) => fill(body, told(report, false))).catch(() => fill(body, h("p", {}, t("provenance.none"))));
  });
  return box;
}

/** A report as lines; `here` says whether to lead to one's own video that it is of. */
export function told(report, here = true) {
  const state = report.changed ? "changed" : report.made_here ? "ours" : report.trusted ? "trusted" : report.signed ? "signed" : "unsigned";
  const actions = (report.actions || []).map((each) => each.replace("c2pa.", "")).map((each) => t(`action.${["created", "opened", "edited", "placed"].includes(each) ? each : "other"}`));
  const sources = (report.ingredients || []).map((each) => t(`ingredient.${["parentOf", "componentOf", "inputTo"].includes(each) ? each : "other"}`));
  const rows = [
    ["signer", report.signer ? h("span", { translate: "no" }, report.signer) : t("provenance.nobody")],
    ["generated", t(report.generated ? "yes" : "unsaid")],
    ["watermark", t(report.watermark ? (report.mirrored ? "provenance.mirrored" : "provenance.found") : "provenance.not_found")],
    ["actions", actions.join(" → ")], ["ingredients", sources.join(", ")],
  ];
  return [h("p", { class: `verdict ${state}` }, icon(report.changed ? "close" : "check"), h("b", {}, t(`provenance.${state}`))),
    h("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, t(`provenance.${name}`)), h("dd", {}, value)))),
  here && report.job ? h("p", {}, h("a", { href: `/watch/${report.job}` }, t("provenance.yours"))) : null];
}
