// A mask painted over a frame, with the pointer or with arrow keys and the space bar; it knows nothing of what is drawn inside.

import { fileOf } from "../api.js";
import { button, choices, h } from "../dom.js";
import { t } from "../i18n.js";

/** The painter over a video of `size`. `film` is its address. */
export function maskPainter(video, film = fileOf(video.id)) {
  const [width, height] = video.size.split("x").map(Number);
  const paper = h("canvas", { class: "paper", tabindex: "0", role: "img", "aria-label": t("inpaint.canvas"), "aria-describedby": "mask-keys" });
  Object.assign(paper, { width, height });
  const ink = paper.getContext("2d"), picture = h("video", { src: film, muted: true, playsInline: true, preload: "auto", tabindex: "-1" });
  const cursor = h("div", { class: "brush", hidden: true });
  const size = h("input", { type: "range", min: 2, max: 40, value: 12, "aria-label": t("inpaint.brush"), oninput: () => place() });
  const time = h("input", { type: "range", min: 0, max: video.seconds, step: 0.05, value: 0, "aria-label": t("inpaint.frame"), oninput: () => { picture.currentTime = Number(time.value); } });
  let erase = false, spot = { x: width / 2, y: height / 2 }, painted = false, down = false;

  const radius = () => Number(size.value) / 100 * Math.min(width, height);
  function dab(to) {
    ink.globalCompositeOperation = erase ? "destination-out" : "source-over";
    ink.strokeStyle = "rgb(255 255 255)";
    ink.lineWidth = radius() * 2;
    ink.lineCap = "round";
    ink.beginPath();
    ink.moveTo(spot.x, spot.y);
    ink.lineTo(to.x + 0.01, to.y);
    ink.stroke();
    spot = to;
    painted = true;
  }
  function place() {
    const scale = paper.clientWidth / width;
    Object.assign(cursor.style, { left: `${spot.x * scale}px`, top: `${spot.y * scale}px`, width: `${radius() * 2 * scale}px`, height: `${radius() * 2 * scale}px` });
  }
  const at = (event) => { const box = paper.getBoundingClientRect(); return { x: (event.clientX - box.left) / box.width * width, y: (event.clientY - box.top) / box.height * height }; };
  paper.addEventListener("pointerdown", (event) => { down = true; paper.setPointerCapture(event.pointerId); spot = at(event); dab(spot); });
  paper.addEventListener("pointermove", (event) => { cursor.hidden = false; if (down) dab(at(event)); else spot = at(event); place(); });
  paper.addEventListener("pointerup", () => { down = false; });
  paper.addEventListener("pointerleave", () => { cursor.hidden = document.activeElement !== paper; });
  paper.addEventListener("focus", () => { cursor.hidden = false; place(); });
  paper.addEventListener("blur", () => { cursor.hidden = true; });
  paper.addEventListener("keydown", (event) => {
    const step = Math.min(width, height) / (event.shiftKey ? 8 : 40);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) {
      event.preventDefault();
      const to = { x: Math.max(0, Math.min(width, spot.x + moves[event.key][0])), y: Math.max(0, Math.min(height, spot.y + moves[event.key][1])) };
      if (down) dab(to); else spot = to;
      place();
    } else if (event.key === " ") { event.preventDefault(); down = true; dab(spot); }
  });
  paper.addEventListener("keyup", (event) => { if (event.key === " ") down = false; });
  const clear = () => { ink.clearRect(0, 0, width, height); painted = false; };

  /** The mask as a PNG, white where to change; null where nothing is painted. */
  async function file() {
    if (!painted) return null;
    const flat = h("canvas");
    Object.assign(flat, { width, height });
    const below = flat.getContext("2d");
    below.fillRect(0, 0, width, height);
    below.drawImage(paper, 0, 0);
    return new Promise((resolve) => flat.toBlob((blob) => resolve(new File([blob], "mask.png", { type: "image/png" })), "image/png"));
  }

  const element = h("div", { class: "mask" }, h("div", { class: "mask-stage", style: { "--shape": width / height } }, picture, paper, cursor),
    h("div", { class: "row wrap" }, choices(t("inpaint.tool"), [["paint", t("inpaint.paint")], ["erase", t("inpaint.erase")]], "paint", (value) => { erase = value === "erase"; }),
      h("label", { class: "inline" }, t("inpaint.brush"), size), h("label", { class: "inline" }, t("inpaint.frame"), time), button(t("inpaint.clear"), clear, { kind: "quiet" })),
    h("p", { class: "hint", id: "mask-keys" }, t("inpaint.keys")));
  return { element, file };
}
