// The library: everything one made, in a grid that holds only the rows that are seen; it knows nothing of how clips are made.

import { get, post } from "../api.js";
import { choices, debounced, fill, h, iconButton } from "../dom.js";
import { number, t, trouble } from "../i18n.js";
import { latest } from "../live.js";
import { arrive, card, discard } from "../parts/clip.js";
import { leaving, removed } from "../parts/remove.js";
import { hear } from "../state.js";
import { busy } from "../toast.js";

const PAGE = 100, NARROW = 240, WORDS = 62, GAP = 20, SPARE = 2; // clips a question, pixels of a column, of the words, between, rows kept beside
const RUSH = 3, CALM = 100; // screens a second past which nobody sees a picture, milliseconds after which the rush is over

/** Show the page. */
export async function show(main, { go }) {
  let items = [], total = 0, more = true, asking = null, columns = 1, column = 1, rowHeight = 1, focus = 0, turn = 0;
  const wanted = { q: "", favourite: "" };
  const grid = h("div", { class: "vgrid", role: "list", "aria-label": t("nav.library") });
  const count = h("p", { class: "count", role: "status" });
  const search = h("input", { type: "search", placeholder: t("library.search"), "aria-label": t("library.search"), oninput: debounced(() => { wanted.q = search.value; restart(); }, 250) });
  const shown = new Map();

  async function fetchMore() {
    if (asking || !more) return asking;
    const mine = turn, after = items.length ? `&after=${items[items.length - 1].id}` : "";
    asking = get(`/misora/videos?limit=${PAGE}&q=${encodeURIComponent(wanted.q)}&favourite=${wanted.favourite}${after}`);
    try {
      const page = await asking;
      if (mine !== turn) return undefined;
      items = items.concat(page.data.filter((video) => !leaving(video.id)));
      more = page.has_more;
      total = page.total;
      layout();
    } catch (error) {
      count.textContent = trouble(error);
    } finally {
      if (mine === turn) asking = null;
    }
    return undefined;
  }

  function restart() {
    turn += 1;
    items = []; more = true; asking = null; focus = 0;
    clear();
    return fetchMore();
  }

  const clear = () => { shown.forEach(discard); shown.clear(); };

  function layout() {
    const width = grid.clientWidth || 1;
    const wide = Math.max(2, Math.floor((width + GAP) / (NARROW + GAP)));
    const before = column;
    column = (width - GAP * (wide - 1)) / wide;
    if (wide !== columns) clear();
    columns = wide;
    rowHeight = column * 9 / 16 + WORDS + GAP;
    const all = more ? Math.max(items.length, Math.min(total, items.length + PAGE)) : items.length;
    grid.style.height = `${Math.ceil(all / columns) * rowHeight}px`;
    grid.style.setProperty("--column", `${column}px`);
    count.textContent = items.length ? t("library.count", { n: number(Math.max(total, items.length)) }) : "";
    if (column !== before) shown.forEach(lay);
    empty.hidden = items.length > 0 || more;
    empty.textContent = t(wanted.q || wanted.favourite ? "library.none" : "library.empty");
    paint();
  }

  function paint() {
    const top = Math.max(0, -grid.getBoundingClientRect().top), first = Math.max(0, Math.floor(top / rowHeight) - SPARE) * columns;
    const last = Math.min(items.length, (Math.ceil((top + innerHeight) / rowHeight) + SPARE) * columns);
    for (const [place, element] of shown) if (place < first || place >= last) { discard(element); shown.delete(place); }
    for (let place = first; place < last; place += 1) if (!shown.has(place)) put(place);
    if (last >= items.length - columns && more) fetchMore();
  }

  function put(place) {
    const video = items[place];
    const now = latest(video.id);
    const element = card(now ? { ...video, ...now, misora: { ...video.misora, ...now.misora } } : video, { props: { role: "listitem" }, later: rushing > 0, below: touched ? tools(video) : null });
    lay(element, place);
    const link = element.querySelector("a");
    link.tabIndex = place === focus ? 0 : -1;
    link.addEventListener("focus", () => { if (focus !== place) { const old = shown.get(focus)?.querySelector("a"); if (old) old.tabIndex = -1; focus = place; link.tabIndex = 0; } });
    let next = Infinity;
    for (const each of shown.keys()) if (each > place && each < next) next = each;
    grid.insertBefore(element, shown.get(next) || null);
    shown.set(place, element);
  }

  const lay = (element, place) => { element.style.transform = `translate(${(place % columns) * (column + GAP)}px, ${Math.floor(place / columns) * rowHeight}px)`; };

  // While a finger rushes through, cards come without their pictures: to fetch and decode what is gone in a blink costs the frames in between.
  let waiting = 0, rushing = 0, seen = { y: scrollY, at: 0 };
  const scrolled = () => { waiting ||= requestAnimationFrame(moved); };
  function moved(at) {
    const far = Math.abs(scrollY - seen.y), rush = far > innerHeight * RUSH * (at - seen.at) / 1000;
    waiting = 0;
    seen = { y: scrollY, at };
    clearTimeout(rushing);
    if (rush) rushing = setTimeout(calm, CALM);
    else if (rushing) calm();
    paint();
  }

  function calm() { rushing = 0; shown.forEach(arrive); }

  // A card's own buttons are made when somebody comes near; on a screen without a pointer they are always there.
  const touched = matchMedia("(hover: none)").matches;
  function near(event) {
    const element = event.target.closest(".clip"), video = element && items.find((each) => each.id === element.dataset.id);
    if (video && !element.querySelector(".clip-tools")) element.append(tools(video));
  }

  const tools = (video) => h("div", { class: "clip-tools" },
    iconButton("heart", t("library.favourite"), (event) => like(video, event.currentTarget), { tabindex: "-1", "aria-pressed": String(Boolean(video.misora.favourite)) }),
    iconButton("trash", t("watch.delete"), () => drop(video), { tabindex: "-1" }));

  async function like(video, control) {
    await busy(control, () => post(`/misora/videos/${video.id}/favourite`, { favourite: !video.misora.favourite }));
    video.misora.favourite = !video.misora.favourite;
    redo(items.indexOf(video));
  }

  function drop(video) {
    items = items.filter((each) => each !== video);
    total -= 1;
    clear();
    layout();
    focusOn(Math.min(focus, items.length - 1));
    removed(video);
  }

  function redo(place) {
    const held = shown.get(place)?.contains(document.activeElement);
    shown.get(place)?.remove();
    shown.delete(place);
    paint();
    if (held) focusOn(place);
  }

  function focusOn(place) {
    if (place < 0 || place >= items.length) return;
    focus = place;
    const y = grid.getBoundingClientRect().top + scrollY + Math.floor(place / columns) * rowHeight;
    if (y < scrollY + 90 || y + rowHeight > scrollY + innerHeight) scrollTo(0, y - innerHeight / 3);
    paint();
    shown.get(place)?.querySelector("a").focus({ preventScroll: true });
  }

  const steps = { ArrowRight: () => focus + 1, ArrowLeft: () => focus - 1, ArrowDown: () => focus + columns, ArrowUp: () => focus - columns, Home: () => 0, End: () => items.length - 1 };
  function keyed(event) {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); search.focus(); return; }
    if (!event.target.closest(".clip") || event.ctrlKey || event.metaKey || event.altKey) return;
    const video = items[focus], element = shown.get(focus);
    if (steps[event.key]) { event.preventDefault(); focusOn(Math.max(0, Math.min(items.length - 1, steps[event.key]()))); }
    else if (event.key === "f") like(video, element.querySelector("[aria-pressed]"));
    else if (event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); drop(video); }
    else if (event.key === "e" && video.status === "completed") go(`/edit/${video.id}?verb=remix`);
  }

  const empty = h("p", { class: "empty", hidden: true });
  fill(main, h("header", { class: "page-head" }, h("h1", {}, t("nav.library")), count,
    h("div", { class: "row" }, search, choices(t("library.show"), [["", t("library.all")], ["true", t("library.favourites")]], "", (value) => { wanted.favourite = value; restart(); }, { class: "bare" }))),
  h("p", { class: "hint keys" }, t("library.keys")), grid, empty);
  const resized = new ResizeObserver(() => layout());
  resized.observe(grid);
  grid.addEventListener("pointerover", near);
  grid.addEventListener("focusin", near);
  addEventListener("scroll", scrolled, { passive: true });
  document.addEventListener("keydown", keyed);
  const quiet = [hear("video", (job) => { const place = items.findIndex((each) => each.id === job.id); if (place >= 0 && shown.has(place)) redo(place); }), hear("back", restart), hear("finished", (job) => { if (!items.some((each) => each.id === job.id)) restart(); })];
  await restart();
  return () => { resized.disconnect(); removeEventListener("scroll", scrolled); cancelAnimationFrame(waiting); clearTimeout(rushing); document.removeEventListener("keydown", keyed); quiet.forEach((each) => each()); clear(); };
}
