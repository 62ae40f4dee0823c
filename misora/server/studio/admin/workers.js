// Who renders now, and how much waits; it looks again every two seconds.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { moment, t } from "../i18n.js";
import { sorry } from "../toast.js";
import { table } from "./table.js";

/** Show the tab. */
export async function show(body) {
  async function look() {
    const told = await get("/misora/workers");
    fill(body, h("p", { class: "count", role: "status" }, t("workers.jobs", { waiting: told.jobs.queued, running: told.jobs.in_progress })),
      told.data.length ? table(t("admin.workers"), [["id", t("workers.name")], ["device", t("workers.device")], ["job", t("workers.job")], ["since", t("workers.since")]],
        told.data.map((each) => ({ id: h("code", { translate: "no" }, each.id), device: h("span", { translate: "no" }, each.device || "CPU"), job: each.video_id ? h("code", { translate: "no" }, each.video_id) : t("workers.idle"), since: moment(each.started_at) }))) : h("p", { class: "empty" }, t("workers.none")));
  }
  await look();
  const timer = setInterval(() => { if (!document.hidden) look().catch((error) => { clearInterval(timer); sorry(error); }); }, 2000);
  return () => clearInterval(timer);
}
