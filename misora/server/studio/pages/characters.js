// Characters: short clips with a name, called by @name in a prompt; it knows nothing of how they are shown again.

import { del, get, post } from "../api.js";
import { button, field, fill, h, iconButton } from "../dom.js";
import { t, trouble } from "../i18n.js";
import { dropPlace } from "../parts/drop.js";
import { sent } from "../parts/form.js";
import { picture } from "../parts/clip.js";
import { pick } from "../parts/picker.js";
import { busy, toast } from "../toast.js";

/** Show the page. */
export async function show(main) {
  const list = h("div", { class: "grid people" });
  let file = null, video = null;
  const name = h("input", { type: "text", maxlength: "80", required: true, dir: "auto" });
  const chosen = h("div", { class: "given" });
  const drop = dropPlace({ label: t("people.file"), accept: ["video"], changed: (given) => { file = given; video = null; } });
  const from = () => fill(chosen, video ? [h("div", { class: "small" }, picture(video)), iconButton("close", t("drop.remove"), () => { video = null; from(); })] : [drop.element, button(t("people.pick"), () => pick((found) => { video = found; file = null; from(); }), { kind: "quiet", glyph: "library" })]);
  const save = button(t("people.save"), () => busy(save, add), { kind: "main" });

  async function add() {
    if (!name.value.trim() || !file && !video) { toast(t("people.missing"), { kind: "error" }); return; }
    await post("/videos/characters", sent({ name: name.value.trim().replace(/^@/, ""), video: video ? { id: video.id } : file }));
    name.value = "";
    video = file = null;
    drop.clear();
    from();
    toast(t("people.saved"));
    await look();
  }

  async function look() {
    try {
      const { data } = await get("/misora/characters");
      fill(list, data.map((each) => h("article", { class: "person" },
        h("video", { src: `/v1/misora/characters/${each.id}/content`, muted: true, loop: true, playsInline: true, preload: "metadata", "aria-label": each.name, onpointerenter: (event) => event.target.play().catch(() => {}), onpointerleave: (event) => event.target.pause() }),
        h("header", { class: "row between" }, h("b", { translate: "no", dir: "auto" }, `@${each.name}`), iconButton("trash", t("people.delete"), (event) => busy(event.currentTarget, async () => { await del(`/misora/characters/${each.id}`); await look(); }))),
        h("a", { class: "button quiet", href: `/?prompt=${encodeURIComponent(`@${each.name} `)}` }, t("people.use")))),
      !data.length && h("p", { class: "empty" }, t("people.none")));
    } catch (error) {
      fill(list, h("p", { class: "empty" }, trouble(error)));
    }
  }

  from();
  fill(main, h("header", { class: "page-head" }, h("h1", {}, t("nav.characters")), h("p", { class: "lead" }, t("people.lead"))),
    h("section", { class: "panel" }, h("h2", {}, t("people.new")), h("div", { class: "controls" }, field(t("people.name"), name, t("people.name.hint")), chosen), h("footer", { class: "row end" }, save)), list);
  await look();
}
