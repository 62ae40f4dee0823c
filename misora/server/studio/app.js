// The frame around every page: the way in, navigation, language, light and dark; it knows nothing of what the pages do.

import { session, signOut, whenEnded } from "./api.js";
import { fill, h, icon, iconButton } from "./dom.js";
import { NAMES, language, load, t } from "./i18n.js";
import { follow, running, stop } from "./live.js";
import { become, hear, keep, kept, may, me, tell } from "./state.js";
import { sorry, toast } from "./toast.js";

const PAGES = { // the first part of the address: the module that shows it, and whether everybody may look
  "": { load: () => import("./pages/make.js"), glyph: "make", menu: true },
  library: { load: () => import("./pages/library.js"), glyph: "library", menu: true },
  storyboard: { load: () => import("./pages/storyboard.js"), glyph: "board", menu: true },
  characters: { load: () => import("./pages/characters.js"), glyph: "people", menu: true },
  feed: { load: () => import("./pages/feed.js"), glyph: "feed", menu: true, open: true },
  verify: { load: () => import("./pages/verify.js"), glyph: "verify", menu: true, open: true },
  admin: { load: () => import("./pages/admin.js"), glyph: "admin", menu: true, scope: "admin" },
  watch: { load: () => import("./pages/watch.js") },
  edit: { load: () => import("./pages/edit.js") },
};
const SIGN_IN = () => import("./pages/signin.js");
const nav = h("nav", { class: "menu" });
const tools = h("div", { class: "tools" });
const main = h("main", { id: "main", tabindex: "-1" });
let leave = null, shown = 0, unseen = 0;

/** Go to another page of the studio. */
export function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  return show();
}

async function show() {
  const [name, ...rest] = location.pathname.slice(1).split("/");
  const page = PAGES[name] || PAGES[""];
  const closed = !page.open && !me.signed_in || page.scope && !may(page.scope);
  const turn = ++shown;
  const module = await (closed ? SIGN_IN : page.load)();
  if (turn !== shown) return;
  leave?.();
  leave = null;
  fill(main);
  main.className = `page page-${closed ? "signin" : name || "make"}`;
  frame(name);
  title(closed ? t("nav.signin") : t(`nav.${name || "make"}`));
  scrollTo(0, 0);
  const left = await module.show(main, { rest: rest.map(decodeURIComponent), query: new URLSearchParams(location.search), go });
  if (turn === shown) leave = left || null;
  else left?.();
}

function frame(current) {
  const items = Object.entries(PAGES).filter(([, page]) => page.menu && (page.open || me.signed_in) && (!page.scope || may(page.scope)));
  nav.setAttribute("aria-label", t("nav.label"));
  fill(nav, items.map(([name, page]) => h("a", { href: `/${name}`, "aria-current": name === current ? "page" : null },
    icon(page.glyph), h("span", {}, t(`nav.${name || "make"}`)))));
  const other = Object.keys(NAMES).find((each) => each !== language);
  const dark = darkNow();
  fill(tools,
    h("button", { type: "button", class: "button quiet language", lang: other, translate: "no", "aria-label": NAMES[other], onclick: () => speak(other) }, icon("globe"), h("span", {}, NAMES[other])),
    iconButton(dark ? "sun" : "moon", t(dark ? "theme.light" : "theme.dark"), () => paint(dark ? "light" : "dark"), { class: "icon-button theme" }),
    me.signed_in && iconButton("out", t("signout"), out, { class: "icon-button signout" }));
}

const darkNow = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  keep("theme", theme);
  frame(location.pathname.slice(1).split("/")[0]);
}

async function speak(wanted) {
  keep("language", wanted);
  await load(wanted);
  skip.textContent = t("skip");
  await show();
}

async function out() {
  try {
    await signOut();
  } catch (error) {
    sorry(error);
  }
  stop();
  become({ signed_in: false });
  go("/");
}

function ended() {
  if (!me.signed_in) return;
  stop();
  become({ signed_in: false });
  document.querySelectorAll("dialog[open]").forEach((each) => each.close());
  toast(t("error.session_ended"), { kind: "error", seconds: 3600 });
  show();
}

let heading = "";
function title(text = heading) {
  heading = text;
  const busy = running();
  const now = unseen ? t("title.done", { n: unseen }) : busy.length ? `${Math.max(...busy.map((job) => job.progress))} %` : "";
  document.title = [now, heading, "Misora"].filter(Boolean).join(" · ");
}

function done(job) {
  if (document.hidden) unseen += 1;
  title();
  const watching = location.pathname === `/watch/${job.id}`;
  if (job.status === "failed" && job.error?.code === "cancelled") return;
  if (watching && !document.hidden) return;
  const words = job.status === "completed" ? "toast.done" : "toast.failed";
  toast(t(words, { prompt: short(job.prompt) }), { seconds: 12, action: { text: t("toast.watch"), run: () => go(`/watch/${job.id}`) } });
}

const short = (text) => (text || "").length > 60 ? `${text.slice(0, 58)}…` : text || "";
const skip = h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } });

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || link.hasAttribute("download") || link.target || event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if (link.getAttribute("href").startsWith("/v1")) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", show);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { unseen = 0; title(); } });
hear("video", () => title());
hear("finished", done);
hear("ended", ended);
hear("signed", () => show());
hear("go", (address) => go(address));
hear("online", (well) => { document.documentElement.dataset.offline = well ? "" : "yes"; offline.hidden = well; offline.textContent = t("offline"); });
whenEnded(() => tell("ended", {}));
const offline = h("p", { class: "offline", role: "status", hidden: true });

async function begin() {
  if (kept("theme")) document.documentElement.dataset.theme = kept("theme");
  const [, told] = await Promise.all([load(kept("language")), session().catch(() => ({ signed_in: false }))]);
  become(told);
  skip.textContent = t("skip");
  const brand = h("a", { class: "brand", href: "/", translate: "no" }, h("b", {}, "Misora"), h("span", { lang: "ja" }, "美空"));
  document.body.prepend(skip, h("header", { class: "top" }, brand, nav, tools), offline, main);
  follow();
  await show();
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready"); // from here on it answers; bench.studio reads it
}

begin();

