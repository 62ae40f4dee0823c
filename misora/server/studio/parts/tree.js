// What a clip came from and what came from it, as a tree of links; it knows nothing of how they were made.

import { fileOf, get } from "../api.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";

/** A panel that fills itself; empty for a clip without relatives. */
export function family(video) {
  const place = h("section", { class: "family", hidden: true });
  get(`/misora/videos/${video.id}/family`).then(({ data }) => {
    if (data.length < 2) return;
    place.hidden = false;
    fill(place, h("h2", {}, t("family.title")), h("ul", { class: "tree" }, roots(data).map((row) => branch(row, data, video.id, new Set()))));
  }).catch(() => {});
  return place;
}

const roots = (rows) => {
  const names = new Set(rows.map((row) => row.id));
  return rows.filter((row) => !row.parents.some((name) => names.has(name)));
};

function branch(row, rows, current, seen) {
  const again = seen.has(row.id);
  seen.add(row.id);
  const below = again ? [] : rows.filter((each) => each.parents.includes(row.id));
  const face = row.status === "completed" ? h("img", { src: fileOf(row.id, "thumbnail"), alt: "", loading: "lazy" }) : h("span", { class: "blank" });
  return h("li", {}, h("a", { href: `/watch/${row.id}`, "aria-current": row.id === current ? "true" : null }, face,
    h("span", {}, h("small", {}, t(`verb.${row.verb}`)), h("span", { class: "words", translate: "no", dir: "auto" }, row.prompt || t("clip.untitled")))),
  below.length ? h("ul", {}, below.map((each) => branch(each, rows, current, seen))) : null);
}
