// The way in: a key becomes a session. It knows nothing of what the key may do.

import { signIn } from "../api.js";
import { button, fill, h } from "../dom.js";
import { t, trouble } from "../i18n.js";
import { become, me, tell } from "../state.js";

/** Show the page. */
export function show(main) {
  const key = h("input", { id: "key", type: "password", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": "key-where" });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const enter = button(t("signin.enter"), null, { kind: "main", type: "submit" });
  const form = h("form", { class: "signin-form", onsubmit: (event) => { event.preventDefault(); submit(); } },
    h("label", { htmlFor: "key" }, t("signin.key")),
    h("div", { class: "row" }, key, enter), wrong,
    h("p", { class: "hint", id: "key-where" }, t("signin.where"), " ", h("code", { translate: "no" }, "misora-data/admin.key")));

  async function submit() {
    if (!key.value.trim()) { wrong.textContent = t("signin.empty"); key.focus(); return; }
    enter.disabled = true;
    wrong.textContent = "";
    try {
      become(await signIn(key.value));
      tell("signed", me);
    } catch (error) {
      wrong.textContent = error.code === "invalid_api_key" ? t("signin.wrong") : trouble(error);
      key.select();
    } finally {
      enter.disabled = false;
    }
  }

  fill(main, h("section", { class: "hero sky" },
    h("h1", {}, t("signin.title")), h("p", { class: "lead" }, t("signin.lead")), me.signed_in ? h("p", {}, t("signin.scope")) : form,
    h("p", { class: "aside" }, h("a", { href: "/feed" }, t("signin.feed")), " · ", h("a", { href: "/verify" }, t("signin.verify")))));
  if (matchMedia("(hover: hover)").matches) key.focus();
}
