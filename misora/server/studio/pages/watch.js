// One video: its place in the queue, what is drawn so far, the finished film, and all that can be done with it.

import { del, fileOf, get, post, previewOf } from "../api.js";
import { button, fill, h, icon, iconButton } from "../dom.js";
import { moment, span, t, trouble } from "../i18n.js";
import { finished, forget, latest, note } from "../live.js";
import { shape } from "../parts/clip.js";
import { showCode } from "../parts/code.js";
import { copy } from "../parts/copy.js";
import { dialog } from "../parts/dialog.js";
import { panel } from "../parts/provenance.js";
import { removed } from "../parts/remove.js";
import { family } from "../parts/tree.js";
import { hear, may } from "../state.js";
import { busy, toast } from "../toast.js";

/** Show the page. */
export async function show(main, { rest, go }) {
  const id = rest[0] || "";
  let video;
  try {
    video = await get(`/misora/videos/${encodeURIComponent(id)}`);
    note(video);
  } catch (error) {
    fill(main, h("section", { class: "empty" }, h("h1", {}, t("watch.none")), h("p", {}, trouble(error)), h("a", { class: "button main", href: "/library" }, t("nav.library"))));
    return undefined;
  }
  const stage = h("div", { class: "stage", style: { "--shape": shape(video) } });
  const side = h("aside", { class: "side" });
  fill(main, h("div", { class: "watch" }, stage, side));
  let drawn = "";

  function draw(now) {
    video = { ...video, ...now, misora: { ...video.misora, ...now.misora } };
    const kind = finished(video) ? video.status : "waiting";
    if (drawn === kind && kind !== "waiting") return;
    if (kind === "waiting") working(stage, video, drawn !== kind);
    else if (kind === "completed") film(stage, video);
    else fill(stage, failure(video));
    if (drawn !== kind) fill(side, about(video, go));
    drawn = kind;
  }

  draw(latest(id) || video);
  const quiet = [hear("video", (job) => { if (job.id === id) draw(job); }), hear("gone", (name) => { if (name === id) go("/library", { replace: true }); })];
  const clock = setInterval(() => { if (drawn === "waiting") working(stage, video, false); }, 1000);
  return () => { quiet.forEach((each) => each()); clearInterval(clock); };
}

function working(stage, video, fresh) {
  if (fresh) {
    const bar = h("progress", { max: 100, "aria-label": t("watch.progress") });
    fill(stage, h("div", { class: "dawn" }, h("img", { class: "preview", alt: t("watch.preview"), hidden: true })),
      h("div", { class: "working" }, h("p", { class: "now", role: "status" }), bar, h("p", { class: "left" }),
        button(t("watch.cancel"), (event) => cancel(event.currentTarget, video), { kind: "plain", glyph: "close" })));
  }
  const { position, preview, stage: what } = video.misora;
  const queued = video.status === "queued";
  const words = queued ? (position ? t("watch.queue", { n: position }) : t("watch.next")) : `${t(`stage.${what || "loading"}`)} · ${video.progress} %`;
  const now = stage.querySelector(".now"), left = stage.querySelector(".left"), bar = stage.querySelector("progress");
  if (now.textContent !== words) now.textContent = words;
  if (queued) bar.removeAttribute("value"); else bar.value = video.progress;
  left.textContent = queued ? "" : remaining(video);
  const picture = stage.querySelector(".preview");
  if (preview && stage.dataset.preview !== String(preview)) {
    stage.dataset.preview = preview;
    const next = h("img", { class: "preview", alt: t("watch.preview"), src: previewOf(video.id, preview) });
    next.onload = () => { // the picture itself goes in: its address alone would be asked for a second time
      const old = stage.querySelector(".dawn > .preview");
      next.classList.toggle("first", Boolean(old?.hidden));
      old?.replaceWith(next);
    };
    next.onerror = () => { delete stage.dataset.preview; }; // it came too late; the clock asks again
  }
}

function remaining(video) {
  const begun = video.misora.started_at;
  if (!begun || video.progress < 4) return t("watch.soon");
  const gone = Math.max(1, Date.now() / 1000 - begun);
  return t("watch.left", { span: span(gone / video.progress * (100 - video.progress)) });
}

async function cancel(control, video) {
  await busy(control, async () => {
    await del(`/videos/${video.id}`);
    forget(video.id);
    toast(t("watch.cancelled"));
  });
}

function film(stage, video) {
  if (video.misora.review === "waiting" || video.misora.review === "refused") {
    fill(stage, h("div", { class: "dawn" }), h("div", { class: "working" }, h("p", { class: "now" }, t(`review.${video.misora.review}`)), h("p", { class: "left" }, t(`review.${video.misora.review}.more`))));
    return;
  }
  const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches, preview = stage.querySelector(".preview:not([hidden])");
  const played = h("video", { poster: fileOf(video.id, "thumbnail"), loop: true, muted: true, playsInline: true, autoplay: !quiet, "aria-label": video.prompt || t("clip.untitled") });
  const ready = () => { played.controls = true; preview?.remove(); }; // until then what was drawn last is seen, and no wheel that turns
  for (const name of ["loadeddata", "suspend", "error"]) played.addEventListener(name, ready, { once: true });
  played.src = fileOf(video.id);
  fill(stage, preview, played);
}

function failure(video) {
  const code = video.error?.code || "server_error";
  return [h("div", { class: "dawn dusk" }), h("div", { class: "working" }, h("p", { class: "now" }, t(`status.failed`)), h("p", { class: "left" }, trouble({ code, message: video.error?.message || code })))];
}

function about(video, go) {
  const done = video.status === "completed";
  const open = done && !["waiting", "refused"].includes(video.misora.review);
  const facts = [["model", video.model], ["size", video.size.replace("x", " × ")], ["length", t("span.seconds", { n: video.seconds })], ["seed", video.misora.seed], ["made", moment(video.created_at)]];
  return [
    h("h1", { class: "words", translate: "no", dir: "auto" }, video.prompt || t("clip.untitled")),
    h("div", { class: "actions" },
      open && heart(video), open && h("a", { class: "icon-button", href: fileOf(video.id), download: `${video.id}.mp4`, title: t("watch.download"), "aria-label": t("watch.download") }, icon("down")),
      iconButton("code", t("code.title"), () => showCode(video)),
      iconButton("remix", t("watch.again"), () => go(`/?prompt=${encodeURIComponent(video.prompt || "")}`), { title: t("watch.again") }),
      open && iconButton("link", t("watch.link"), (event) => busy(event.currentTarget, () => link(video))),
      open && may("publish") && publishing(video), done || video.status === "failed" ? iconButton("trash", t("watch.delete"), () => { removed(video); go("/library"); }) : null),
    open && h("nav", { class: "verbs", "aria-label": t("watch.verbs") }, [["remix", "remix"], ["recut", "cut"], ["extend", "extend"], ["blend", "blend"], ["loop", "loop"], ["inpaint", "brush"]].map(([verb, glyph]) =>
      h("a", { href: `/edit/${video.id}?verb=${verb}` }, icon(glyph), h("span", {}, t(`edit.${verb}`))))),
    h("dl", { class: "facts" }, facts.filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => h("div", {}, h("dt", {}, t(`fact.${name}`)), h("dd", { translate: name === "model" ? "no" : null }, String(value))))),
    open && panel(video), family(video), // which comes late, and may push nothing away
  ];
}

function heart(video) {
  const control = iconButton("heart", t("library.favourite"), async () => {
    const wanted = control.getAttribute("aria-pressed") !== "true";
    await busy(control, () => post(`/misora/videos/${video.id}/favourite`, { favourite: wanted }));
    control.setAttribute("aria-pressed", String(wanted));
  }, { "aria-pressed": String(Boolean(video.misora.favourite)) });
  return control;
}

async function link(video) {
  const { url, expires_at: until } = await post(`/misora/videos/${video.id}/link`, { seconds: 7 * 24 * 3600 });
  dialog(t("watch.link"), (close) => {
    const text = h("pre", { class: "code", translate: "no", tabindex: "0" }, url);
    return [h("p", {}, t("watch.link.until", { at: moment(until) })), text,
      h("footer", { class: "row end" }, button(t("code.copy"), () => copy(url, text)), button(t("close"), close, { kind: "main" }))];
  }, { class: "wide" });
}

function publishing(video) {
  let out = Boolean(video.misora.published_at);
  const control = iconButton("publish", t(out ? "watch.unpublish" : "watch.publish"), async () => {
    await busy(control, async () => {
      await post(`/misora/videos/${video.id}/${out ? "unpublish" : "publish"}`, {});
      out = !out;
      control.setAttribute("aria-pressed", String(out));
      control.title = t(out ? "watch.unpublish" : "watch.publish");
      control.setAttribute("aria-label", control.title);
      toast(t(out ? "watch.published" : "watch.unpublished"));
    });
  }, { "aria-pressed": String(out) });
  return control;
}
