// A clip as a card of a grid: its picture, played while it is pointed at, scrubbed by the pointer's place; it knows no list.

import { fileOf, publicFile } from "../api.js";
import { h, icon } from "../dom.js";
import { t } from "../i18n.js";

const COLUMNS = 5, CELLS = 25; // of a spritesheet
const STILL = 450; // milliseconds of rest after which a clip plays

/** Width over height of a video. */
export function shape(video) {
  const [width, height] = (video.size || "16x9").split("x").map(Number);
  return width / height || 16 / 9;
}

/** The picture of a clip that plays on hover and scrubs along the pointer. `open` shows the public file; `later` waits for `arrive`. */
export function picture(video, { open = false, later = false } = {}) {
  const file = open ? publicFile : fileOf;
  const frame = h("div", { class: "picture", style: { "--shape": shape(video) } });
  if (video.status && video.status !== "completed") {
    frame.classList.add(video.status);
    frame.append(h("span", { class: "state" }, t(`status.${video.status}`), video.status === "in_progress" ? ` ${video.progress} %` : ""));
    return frame;
  }
  if (video.misora?.review === "waiting" || video.misora?.review === "refused") {
    frame.classList.add("veiled");
    frame.append(h("span", { class: "state" }, t(`review.${video.misora.review}`)));
    return frame;
  }
  const address = file(video.id, "thumbnail");
  frame.append(h("img", { [later ? "data-later" : "src"]: address, alt: "", loading: "lazy", decoding: "async", draggable: "false" }));
  hover(frame, video.id, file);
  return frame;
}

/** Take a card away, and the request for its picture with it: one that still loads would keep the whole card alive. */
export function discard(element) {
  element.querySelectorAll("img").forEach((image) => image.removeAttribute("src"));
  element.remove();
}

/** Fetch what a card was made without. */
export function arrive(element) {
  element.querySelectorAll("img[data-later]").forEach((image) => { image.src = image.dataset.later; delete image.dataset.later; });
}

function hover(frame, id, file) {
  const sheet = h("div", { class: "sheet" });
  let timer = 0, film = null;
  const quiet = matchMedia("(prefers-reduced-motion: reduce)");
  const play = () => {
    if (quiet.matches) return;
    film = h("video", { src: file(id), muted: true, loop: true, playsInline: true, tabindex: "-1", "aria-hidden": "true" });
    film.addEventListener("playing", () => frame.classList.add("playing"));
    frame.append(film);
    film.play().catch(() => {});
  };
  const rest = () => { clearTimeout(timer); film?.remove(); film = null; frame.classList.remove("playing", "scrubbing"); };
  frame.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const box = frame.getBoundingClientRect();
    if (!sheet.isConnected) { sheet.style.backgroundImage = `url("${file(id, "spritesheet")}")`; frame.append(sheet); }
    const place = Math.max(0, Math.min(CELLS - 1, Math.floor((event.clientX - box.left) / box.width * CELLS)));
    sheet.style.backgroundPosition = `${place % COLUMNS * 25}% ${Math.floor(place / COLUMNS) * 25}%`;
    frame.style.setProperty("--place", place / (CELLS - 1));
    rest();
    frame.classList.add("scrubbing");
    timer = setTimeout(play, STILL);
  });
  frame.addEventListener("pointerleave", rest);
}

/** A link to a clip: its picture, its words, its length; `below` is put under them, `later` is the picture's. */
export function card(video, { open = false, later = false, href = `/watch/${video.id}`, below = null, props = {} } = {}) {
  const words = h("p", { class: "words", translate: "no", dir: "auto" }, video.prompt || t("clip.untitled"));
  const link = h("a", { class: "clip-link", href, "aria-label": `${video.prompt || t("clip.untitled")}, ${t("span.seconds", { n: video.seconds })}` },
    picture(video, { open, later }), words);
  const heart = video.misora?.favourite ? h("span", { class: "loved", title: t("library.favourite") }, icon("heart")) : null;
  return h("article", { class: "clip", dataset: { id: video.id }, ...props }, link, heart, below);
}
