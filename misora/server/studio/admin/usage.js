// Who used how many seconds this month.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { number, t } from "../i18n.js";
import { table } from "./table.js";

/** Show the tab. */
export async function show(body) {
  const [use, keys] = await Promise.all([get("/misora/usage"), get("/misora/keys")]);
  const names = Object.fromEntries(keys.data.map((key) => [key.account_id, key.name])), most = Math.max(1, ...use.accounts.map((each) => each.seconds));
  fill(body, h("h2", {}, t("usage.month", { month: use.month })), use.accounts.length ? table(t("admin.usage"), [["who", t("usage.account")], ["seconds", t("usage.seconds")], ["bar", ""]],
    use.accounts.sort((a, b) => b.seconds - a.seconds).map((each) => ({ who: h("span", { translate: "no", dir: "auto" }, names[each.account_id] || each.account_id), seconds: number(Math.round(each.seconds)), bar: h("meter", { value: each.seconds, max: most, "aria-label": t("usage.seconds") }) }))) : h("p", { class: "empty" }, t("usage.none")));
}
