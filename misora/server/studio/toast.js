// Short words at the foot of the page that go by themselves; errors are read aloud at once. It knows nothing of why.

import { button, h, iconButton } from "./dom.js";
import { t, trouble } from "./i18n.js";

const SECONDS = 6;
let place = null;

function home() {
  if (!place?.isConnected) document.body.append(place = h("div", { class: "toasts", role: "region", "aria-label": t("toast.region") }));
  return place;
}

/** Say something; `action` is {text, run}. The answer takes the words away. */
export function toast(text, { kind = "note", action, seconds = SECONDS, gone } = {}) {
  let timer = 0;
  const away = (by) => { if (!box.isConnected) return; clearTimeout(timer); box.remove(); gone?.(by); };
  const act = action && button(action.text, () => { away("action"); action.run(); }, { kind: "quiet" });
  const box = h("div", { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    h("p", {}, text), act, iconButton("close", t("close"), () => away("closed")));
  home().append(box);
  const wait = () => { clearTimeout(timer); timer = setTimeout(() => away("time"), seconds * 1000); };
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("pointerleave", wait);
  wait();
  return away;
}

/** Say what went wrong. */
export function sorry(error) {
  if (error.name === "AbortError" || error.code === "session_ended") return;
  toast(trouble(error), { kind: "error", seconds: 10 });
}

/** Let `work` run with its button out of use, and say what went wrong. */
export async function busy(control, work) {
  control.disabled = true;
  control.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    if (!error.status && !error.code) console.error(error);
    sorry(error);
  } finally {
    control.disabled = false;
    control.removeAttribute("aria-busy");
  }
}
