// The operator's page: one tab for each thing that an operator does; it knows nothing of what the tabs do.

import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { sorry } from "../toast.js";

const TABS = {
  keys: () => import("../admin/keys.js"), accounts: () => import("../admin/accounts.js"), usage: () => import("../admin/usage.js"), review: () => import("../admin/review.js"),
  policy: () => import("../admin/policy.js"), workers: () => import("../admin/workers.js"), audit: () => import("../admin/audit.js"),
};

/** Show the page. */
export async function show(main, { rest }) {
  const now = rest[0] in TABS ? rest[0] : "keys";
  const body = h("section", { class: "admin-body" });
  fill(main, h("header", { class: "page-head" }, h("h1", {}, t("nav.admin"))),
    h("nav", { class: "tabs", "aria-label": t("nav.admin") }, Object.keys(TABS).map((name) => h("a", { href: `/admin/${name}`, "aria-current": name === now ? "page" : null }, t(`admin.${name}`)))), body);
  try {
    return await (await TABS[now]()).show(body);
  } catch (error) {
    sorry(error);
    return undefined;
  }
}
