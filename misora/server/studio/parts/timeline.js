// A strip of a clip's frames with handles that are dragged or moved by arrow keys; it knows nothing of what the times mean.

import { fileOf } from "../api.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";

/** A strip of `seconds` with `handles`: {name, label, value, least, most, step}. `moved(values)` is called at every move. */
export function timeline({ seconds, clips, handles, moved, spans = () => [] }) {
  const values = Object.fromEntries(handles.map((each) => [each.name, each.value]));
  const track = h("div", { class: "track" });
  const element = h("div", { class: "timeline" }, track);
  const knobs = handles.map((each) => knob(each));
  const layers = h("div", { class: "layers" });
  track.append(h("div", { class: "strips" }, clips.map((clip) => strip(clip))), layers, ...knobs);
  let length = seconds;

  function strip(clip) {
    const box = h("div", { class: `strip ${clip.id ? "" : "ghost"}`, dataset: { name: clip.name || "" } }, clip.label && h("span", {}, clip.label));
    if (clip.id) for (let i = 0; i < 8; i += 1) {
      const place = Math.round(i * 24 / 7);
      box.append(h("i", { style: { "background-image": `url("${fileOf(clip.id, "spritesheet")}")`, "background-position": `${place % 5 * 25}% ${Math.floor(place / 5) * 25}%` } }));
    }
    clip.box = box;
    return box;
  }

  function knob(handle) {
    const control = h("button", { type: "button", class: "knob", role: "slider", "aria-label": handle.label, dataset: { name: handle.name } });
    const to = (value) => {
      const step = handle.step || 0.05;
      const least = typeof handle.least === "function" ? handle.least(values) : handle.least, most = typeof handle.most === "function" ? handle.most(values) : handle.most;
      values[handle.name] = Math.round(Math.max(least, Math.min(most, Math.round(value / step) * step)) * 1000) / 1000;
      draw();
      moved({ ...values });
    };
    control.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      control.focus();
      control.setPointerCapture(event.pointerId);
      const drag = (move) => { const box = track.getBoundingClientRect(); to(handle.from((move.clientX - box.left) / box.width * length, values)); };
      control.addEventListener("pointermove", drag);
      control.addEventListener("pointerup", () => control.removeEventListener("pointermove", drag), { once: true });
    });
    control.addEventListener("keydown", (event) => {
      const step = (handle.key || 0.1) * (event.shiftKey ? 5 : 1) * (handle.reverse ? -1 : 1);
      const moves = { ArrowRight: step, ArrowUp: step, ArrowLeft: -step, ArrowDown: -step };
      if (event.key in moves) { event.preventDefault(); to(values[handle.name] + moves[event.key]); }
    });
    handle.from ||= (place) => place;
    handle.at ||= (each) => each[handle.name];
    handle.control = control;
    return control;
  }

  function draw() {
    length = typeof seconds === "function" ? seconds(values) : seconds;
    for (const clip of clips) clip.box.style.flex = `${typeof clip.seconds === "function" ? clip.seconds(values) : clip.seconds} 0 0`;
    for (const handle of handles) {
      const value = values[handle.name];
      handle.control.style.left = `${handle.at(values) / length * 100}%`;
      handle.control.setAttribute("aria-valuenow", value);
      handle.control.setAttribute("aria-valuemin", typeof handle.least === "function" ? handle.least(values) : handle.least);
      handle.control.setAttribute("aria-valuemax", typeof handle.most === "function" ? handle.most(values) : handle.most);
      handle.control.setAttribute("aria-valuetext", t("timeline.at", { n: value.toFixed(2) }));
    }
    layers.replaceChildren(...spans(values).map((each) => h("div", { class: `layer ${each.kind}`, style: { left: `${each.from / length * 100}%`, width: `${Math.max(0, each.to - each.from) / length * 100}%` } }, each.label && h("span", {}, each.label))));
  }

  draw();
  return { element, values: () => ({ ...values }), set: (name, value) => { values[name] = value; draw(); moved({ ...values }); } };
}
