// The audit log, newest first: who did what to what, and when.

import { get } from "../api.js";
import { button, fill, h } from "../dom.js";
import { moment, t } from "../i18n.js";
import { table } from "./table.js";

/** Show the tab. */
export async function show(body) {
  const rows = [];
  async function more(before) {
    const { data } = await get(`/misora/audit?limit=100${before ? `&before=${before}` : ""}`);
    rows.push(...data);
    fill(body, rows.length ? table(t("admin.audit"), [["at", t("audit.at")], ["actor", t("audit.actor")], ["action", t("audit.action")], ["subject", t("audit.subject")], ["detail", t("audit.detail")]],
      rows.map((row) => ({ at: moment(row.at), actor: h("code", { translate: "no" }, row.actor), action: h("code", { translate: "no" }, row.action), subject: h("code", { translate: "no" }, row.subject), detail: h("code", { translate: "no" }, Object.entries(row.detail).map(([name, value]) => `${name}: ${value}`).join("; ")) }))) : h("p", { class: "empty" }, t("audit.none")),
    data.length === 100 && h("div", { class: "row end" }, button(t("feed.more"), () => more(rows[rows.length - 1].seq))));
  }
  await more();
}
