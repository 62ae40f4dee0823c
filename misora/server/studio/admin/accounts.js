// Accounts and plans: who there is, on which plan, with how much used; another plan, another key, suspended as a whole.

import { get, post } from "../api.js";
import { button, fill, h, select } from "../dom.js";
import { moment, number, t } from "../i18n.js";
import { busy, toast } from "../toast.js";
import { showSecret } from "./secret.js";
import { table } from "./table.js";

const LIMITS = ["seconds_per_month", "concurrency", "requests_per_minute", "deadline_seconds", "retention_hours", "priority"];
const RULES = ["review", "require_check"];

/** Show the tab. */
export async function show(body) {
  const plans = (await get("/misora/plans")).data;

  async function look() {
    const [accounts, use] = await Promise.all([get("/misora/accounts"), get("/misora/usage")]);
    const used = Object.fromEntries(use.accounts.map((each) => [each.account_id, each.seconds]));
    fill(body, table(t("admin.accounts"), [["name", t("keys.name")], ["id", t("keys.id")], ["plan", t("keys.plan")], ["used", t("accounts.used")], ["state", t("keys.state")], ["at", t("keys.at")], ["acts", ""]],
      accounts.data.reverse().map((each) => row(each, used[each.id] || 0))),
    h("h2", { class: "apart" }, t("accounts.plans")), table(t("accounts.plans"), [["name", t("keys.plan")], ...[...LIMITS, ...RULES].map((name) => [name, t(`plan.${name}`)])], plans.map(shown)));
  }

  function row(account, used) {
    const most = plans.find((each) => each.name === account.plan)?.seconds_per_month;
    const names = [...new Set([...plans.map((each) => each.name), account.plan])].map((name) => [name, name]);
    const change = (values, control) => busy(control, async () => { await post(`/misora/accounts/${account.id}`, values); await look(); toast(t("accounts.changed")); });
    const another = (control) => busy(control, async () => { showSecret((await post("/misora/keys", { name: account.name, account_id: account.id })).key); });
    const plan = select(names, account.plan, (value) => change({ plan: value }, plan), { translate: "no", "aria-label": t("keys.plan") });
    const going = account.state === "active";
    return {
      class: account.state, name: h("b", { translate: "no", dir: "auto" }, account.name), id: h("code", { translate: "no" }, account.id), plan,
      used: most ? t("accounts.of", { n: number(Math.round(used)), most: number(most) }) : t("span.seconds", { n: number(Math.round(used)) }),
      state: t(`state.${account.state}`), at: moment(account.created_at),
      acts: h("div", { class: "row" }, button(t("accounts.key"), (event) => another(event.currentTarget), { kind: "quiet" }),
        button(t(going ? "keys.suspend" : "keys.resume"), (event) => change({ state: going ? "suspended" : "active" }, event.currentTarget), { kind: "quiet" })),
    };
  }

  const shown = (plan) => ({ name: h("b", { translate: "no" }, plan.name),
    ...Object.fromEntries(LIMITS.map((name) => [name, plan[name] || name === "priority" ? number(plan[name]) : t("plan.free")])),
    ...Object.fromEntries(RULES.map((name) => [name, t(plan[name] ? "yes" : "no")])) });
  await look();
}
