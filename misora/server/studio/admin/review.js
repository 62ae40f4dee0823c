// The review queue: one clip at a time, approved or refused by key, with a reason.

import { get, post } from "../api.js";
import { button, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { busy } from "../toast.js";

/** Show the tab. */
export async function show(body) {
  let queue = (await get("/misora/review")).data;
  const reason = h("input", { type: "text", maxlength: "500", dir: "auto", "aria-label": t("review.reason"), placeholder: t("review.reason") });

  function draw() {
    const video = queue[0];
    if (!video) { fill(body, h("p", { class: "empty" }, t("review.none"))); return; }
    const yes = button(t("review.approve"), () => decide("approved", yes), { kind: "main", glyph: "check" }), no = button(t("review.refuse"), () => decide("refused", no), { kind: "danger", glyph: "close" });
    reason.value = "";
    fill(body, h("p", { class: "count", role: "status" }, t("review.count", { n: queue.length })), h("div", { class: "review" },
      h("div", { class: "stage" }, h("video", { src: `/v1/misora/review/${video.id}/content`, controls: true, loop: true, muted: true, autoplay: true, playsInline: true, "aria-label": video.prompt || t("clip.untitled") })),
      h("div", {}, h("p", { class: "words", translate: "no", dir: "auto" }, video.prompt),
        video.reports?.length ? h("ul", { class: "reports", translate: "no", dir: "auto" }, video.reports.map((each) => h("li", {}, each.reason || String(each)))) : null, reason, h("div", { class: "row" }, yes, no), h("p", { class: "hint" }, t("review.keys")))));
  }

  async function decide(decision, control) {
    const video = queue[0];
    await busy(control, async () => {
      await post(`/misora/review/${video.id}`, { decision, reason: reason.value.trim() || undefined });
      queue = queue.slice(1);
      draw();
    });
  }

  function keyed(event) {
    if (/^(INPUT|TEXTAREA)$/.test(event.target.tagName) || !queue.length || event.ctrlKey || event.metaKey) return;
    if (event.key === "a") body.querySelector(".button.main").click();
    else if (event.key === "r") body.querySelector(".button.danger").click();
  }
  document.addEventListener("keydown", keyed);
  draw();
  return () => document.removeEventListener("keydown", keyed);
}
