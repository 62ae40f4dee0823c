// Keys and plans: made, shown once, suspended, revoked, alone or as a group.

import { get, post } from "../api.js";
import { button, field, fill, h, select } from "../dom.js";
import { moment, t } from "../i18n.js";
import { dialog } from "../parts/dialog.js";
import { busy, toast } from "../toast.js";
import { showSecret } from "./secret.js";
import { table } from "./table.js";

/** Show the tab. */
export async function show(body) {
  const { plans } = await get("/misora/presets");
  const list = h("div");
  const name = h("input", { type: "text", maxlength: "200", dir: "auto" }), group = h("input", { type: "text", maxlength: "80", dir: "auto" });
  let plan = "default";
  const scopes = ["generate", "publish", "admin"].map((scope) => h("label", { class: "check" }, h("input", { type: "checkbox", value: scope, checked: scope === "generate" }), h("span", {}, t(`scope.${scope}`))));
  const create = button(t("keys.create"), () => busy(create, make), { kind: "main" });

  async function make() {
    if (!name.value.trim()) { toast(t("keys.name.missing"), { kind: "error" }); name.focus(); return; }
    const wanted = scopes.map((each) => each.querySelector("input")).filter((each) => each.checked).map((each) => each.value);
    const made = await post("/misora/keys", { name: name.value.trim(), plan, group: group.value.trim() || undefined, scopes: wanted.length ? wanted : ["generate"] });
    name.value = group.value = "";
    showSecret(made.key);
    await look();
  }

  async function act(action, which, control) {
    await busy(control, async () => { await post("/misora/keys/end", { action, ...which }); await look(); toast(t(`keys.${action}.done`)); });
  }

  function sure(which, who) {
    dialog(t("keys.revoke"), (close) => [h("p", {}, t("keys.revoke.sure", { name: who })), h("footer", { class: "row end" }, button(t("cancel"), close), button(t("keys.revoke"), (event) => { act("revoke", which, event.currentTarget).then(close); }, { kind: "danger" }))]);
  }

  async function look() {
    const { data } = await get("/misora/keys");
    const groups = [...new Set(data.filter((key) => key.group && key.state !== "revoked").map((key) => key.group))];
    fill(list, groups.length ? h("p", { class: "row wrap" }, t("keys.groups"), groups.map((each) => button(t("keys.group.revoke", { name: each }), () => sure({ group: each }, each), { kind: "quiet" }))) : null,
      table(t("admin.keys"), [["name", t("keys.name")], ["id", t("keys.id")], ["plan", t("keys.plan")], ["group", t("keys.group")], ["scopes", t("keys.scopes")], ["state", t("keys.state")], ["at", t("keys.at")], ["acts", ""]],
        data.reverse().map((key) => ({
          class: key.state, name: h("b", { translate: "no", dir: "auto" }, key.name), id: h("code", { translate: "no" }, key.id), plan: h("span", { translate: "no" }, key.plan), group: h("span", { translate: "no" }, key.group),
          scopes: key.scopes.split(" ").map((scope) => t(`scope.${scope}`)).join(", "), state: t(`state.${key.state}`), at: moment(key.created_at),
          acts: key.state !== "revoked" && h("div", { class: "row" }, (key.state === "active" ? ["suspend", "retire"] : ["resume"]).map((action) => button(t(`keys.${action}`), (event) => act(action, { key_id: key.id }, event.currentTarget), { kind: "quiet", title: action === "resume" ? null : t(`keys.${action}.more`) })), button(t("keys.revoke"), () => sure({ key_id: key.id }, key.name), { kind: "quiet danger" })),
        }))));
  }

  fill(body, h("section", { class: "panel" }, h("h2", {}, t("keys.new")), h("div", { class: "controls" }, field(t("keys.name"), name), field(t("keys.plan"), select(plans.map((each) => [each, each]), plan, (value) => { plan = value; }, { translate: "no" })), field(t("keys.group"), group, t("keys.group.hint")),
    h("fieldset", { class: "field" }, h("legend", {}, t("keys.scopes")), scopes)), h("footer", { class: "row end" }, create)), list);
  await look();
}
