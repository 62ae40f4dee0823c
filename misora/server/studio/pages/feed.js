// The feed: what was published here, the operator's choice first, with the words that made it; anybody may look, and object.

import { get, post, publicFile } from "../api.js";
import { button, fill, h, iconButton } from "../dom.js";
import { t, trouble } from "../i18n.js";
import { card } from "../parts/clip.js";
import { dialog } from "../parts/dialog.js";
import { may, me } from "../state.js";
import { busy, sorry, toast } from "../toast.js";

const REASONS = ["person", "harm", "sexual", "hate", "brand", "other"];

/** Show the page. */
export async function show(main, { go }) {
  const chosen = shelf("featured_at", "&featured=true"), all = shelf("published_at", "");
  const heads = ["feed.featured", "feed.new"].map((name) => h("h2", { class: "apart" }, t(name)));
  fill(main, h("header", { class: "page-head" }, h("h1", {}, t("nav.feed")), h("p", { class: "lead" }, t("feed.lead"))),
    heads[0], chosen.grid, chosen.end, heads[1], all.grid, all.end);

  /** One list of the feed, which goes on after the moment of its last clip. */
  function shelf(moment, which) {
    const grid = h("div", { class: "grid feed", dataset: { list: moment } }), end = h("div", { class: "row end" });
    async function more(before) {
      try {
        const page = await get(`/misora/feed?${before ? `before=${before}` : ""}${which}`);
        grid.append(...page.data.map((video) => entry(video)));
        const last = page.data[page.data.length - 1];
        fill(end, page.has_more && button(t("feed.more"), () => more(last[moment])));
      } catch (error) {
        fill(end, h("p", { class: "empty" }, trouble(error)));
      }
    }
    return { grid, end, more };
  }

  async function look() {
    fill(chosen.grid);
    fill(all.grid);
    await Promise.all([chosen.more(), all.more()]);
    heads.forEach((head) => { head.hidden = !chosen.grid.children.length; });
    chosen.grid.hidden = chosen.end.hidden = !chosen.grid.children.length;
    if (!all.grid.children.length) fill(all.grid, h("p", { class: "empty" }, t("feed.none")));
  }

  const entry = (video) => card(video, { open: true, href: `/feed/${video.id}`, props: { onclick: (event) => { if (event.target.closest("a")) { event.preventDefault(); watch(video); } } } });

  function watch(video) {
    dialog(t("feed.clip"), (close) => [
      h("div", { class: "stage" }, h("video", { src: publicFile(video.id), controls: true, loop: true, muted: true, autoplay: true, playsInline: true, "aria-label": video.prompt || t("clip.untitled") })),
      h("p", { class: "words", translate: "no", dir: "auto" }, video.prompt),
      h("footer", { class: "row between" },
        h("div", { class: "row" }, me.signed_in && button(t("feed.remix"), (event) => busy(event.currentTarget, () => remix(video, close)), { kind: "main", glyph: "remix" }),
          me.signed_in && button(t("feed.prompt"), () => { close(); go(`/?prompt=${encodeURIComponent(video.prompt || "")}`); }, { kind: "plain" })),
        may("admin") && iconButton("star", t(video.featured_at ? "feed.unfeature" : "feed.feature"), (event) => busy(event.currentTarget, () => feature(video, close)), { "aria-pressed": String(Boolean(video.featured_at)) }),
        iconButton("flag", t("feed.report"), () => { close(); report(video); }))], { class: "wide" });
  }

  async function feature(video, close) {
    await post(`/misora/feed/${video.id}/feature`, { featured: !video.featured_at });
    close();
    await look();
  }

  async function remix(video, close) {
    const answer = await fetch(publicFile(video.id));
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const file = new File([await answer.blob()], "clip.mp4", { type: "video/mp4" });
    (await import("./edit.js")).carry(file);
    close();
    go(`/edit?upload=1&prompt=${encodeURIComponent(video.prompt || "")}`);
  }

  function report(video) {
    dialog(t("feed.report"), (close) => {
      const words = h("textarea", { rows: 3, maxlength: "1500", "aria-label": t("report.words"), dir: "auto" });
      const send = (reason) => post(`/misora/feed/${video.id}/report`, { reason: `${reason}: ${words.value}`.slice(0, 2000) }).then(() => {
        close();
        main.querySelectorAll(`.feed [data-id="${video.id}"]`).forEach((each) => each.remove());
        toast(t("report.thanks"));
      }).catch(sorry);
      return [h("p", {}, t("report.lead")), words, h("div", { class: "row wrap" }, REASONS.map((reason) => button(t(`report.${reason}`), () => send(reason))))];
    });
  }

  await look();
}
