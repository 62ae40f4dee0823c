// A place to drop, paste or choose one file; it knows nothing of what the file is for.

import { fill, h, icon, iconButton, unique } from "../dom.js";
import { t } from "../i18n.js";
import { toast } from "../toast.js";

/** The place. `accept` are kinds such as "image" and "video"; `changed(file)` gets the file, or null when it is taken away. */
export function dropPlace({ label, accept, changed, zone = null }) {
  const id = unique("file");
  const input = h("input", { type: "file", id, class: "unseen", accept: accept.map((kind) => `${kind}/*`).join(","), onchange: () => take(input.files[0]) });
  const shown = h("div", { class: "drop-shown" });
  const element = h("div", { class: "drop" }, input, h("label", { htmlFor: id, class: "drop-label" }, icon("image"), h("span", {}, label)), shown);
  let address = "";

  function take(file) {
    if (!file) return;
    if (!accept.includes(file.type.split("/")[0])) { toast(t("drop.kind"), { kind: "error" }); return; }
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(file);
    const look = file.type.startsWith("image") ? h("img", { src: address, alt: "" }) : h("video", { src: address, muted: true, loop: true, playsInline: true, autoplay: true });
    fill(shown, look, h("span", { class: "name", translate: "no" }, file.name), iconButton("close", t("drop.remove"), clear));
    element.classList.add("full");
    changed(file);
  }

  function clear() {
    input.value = "";
    fill(shown);
    element.classList.remove("full");
    changed(null);
  }

  const target = zone || element;
  target.addEventListener("dragover", (event) => { event.preventDefault(); target.classList.add("over"); });
  target.addEventListener("dragleave", () => target.classList.remove("over"));
  target.addEventListener("drop", (event) => { event.preventDefault(); target.classList.remove("over"); take(event.dataTransfer.files[0]); });
  target.addEventListener("paste", (event) => { const file = event.clipboardData?.files[0]; if (file) take(file); });
  return { element, clear, take };
}

/** A file as a data URL. */
export const dataUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});
