// Elements from plain calls: every text becomes a text node, so that nothing a person typed is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "muted", "loop", "autoplay", "controls", "hidden", "indeterminate", "selected",
  "readOnly", "required", "multiple", "open", "playsInline", "htmlFor", "tabIndex", "textContent", "currentTime", "preload"]);

/** One element: properties, attributes, `on…` listeners, a `style` object; children are nodes, texts, or nothing. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) set(element, name, value);
  add(element, children);
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === null || value === false && !PROPERTIES.has(name)) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.className = value;
  else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (PROPERTIES.has(name)) element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Put these children in the place of all others. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

const PATHS = {
  make: "M12 5v14M5 12h14",
  library: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  board: "M3 6h5v12H3zM10 6h7v12h-7zM19 6h2v12h-2z",
  people: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M4 20c1-4 4-6 8-6s7 2 8 6",
  feed: "M3 17c3-6 6-6 9 0s6 6 9 0M3 11c3-6 6-6 9 0s6 6 9 0",
  verify: "M12 3l8 3v6c0 5-3.500 8-8 9-4.500-1-8-4-8-9V6zM8.500 12l2.500 2.500 4.500-5",
  admin: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  heart: "M12 20S4 15 4 9.500A4.200 4.200 0 0 1 12 7.500 4.200 4.200 0 0 1 20 9.500C20 15 12 20 12 20z",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  down: "M12 4v11M7 11l5 5 5-5M5 20h14",
  code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  remix: "M4 7h10a5 5 0 0 1 5 5M20 17H10a5 5 0 0 1-5-5M7 4L4 7l3 3M17 20l3-3-3-3",
  cut: "M4 8h16v8H4zM8 5v14M16 5v14",
  extend: "M4 8h8v8H4zM15 12h6M18 9l3 3-3 3",
  blend: "M9 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10M15 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10",
  loop: "M7 8a4 4 0 1 0 0 8c4 0 6-8 10-8a4 4 0 1 1 0 8c-4 0-6-8-10-8",
  brush: "M20 4L10 14M8 14c-3 0-2 4-5 5 4 2 8 1 8-2a3 3 0 0 0-3-3z",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14M16 16l5 5",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M5 19l1.500-1.500M17.500 6.500L19 5",
  moon: "M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z",
  globe: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M3 12h18M12 3c-5 6-5 12 0 18 5-6 5-12 0-18",
  out: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.010",
  publish: "M12 20V9M7 13l5-5 5 5M5 4h14",
  star: "M12 4l2.400 5.100 5.600.700-4.100 3.800 1.100 5.500-5-2.800-5 2.800 1.100-5.500L4 9.800l5.600-.700z",
  link: "M10 14a4 4 0 0 0 5.700 0l3-3a4 4 0 0 0-5.700-5.700l-1.500 1.500M14 10a4 4 0 0 0-5.700 0l-3 3a4 4 0 0 0 5.700 5.700l1.500-1.500",
  flag: "M6 21V4h12l-3 4 3 4H6",
  play: "M8 5l11 7-11 7z",
  tree: "M6 4v6a4 4 0 0 0 4 4h8M6 10v10M15 11l3 3-3 3",
  left: "M15 5l-7 7 7 7",
  check: "M5 13l4 4L19 7",
};

/** A line drawing of that name, without a meaning of its own for screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" }))
    svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

let numbered = 0;
/** A name that no other element has. */
export const unique = (stem) => `${stem}-${++numbered}`;

/** A labelled control: the label first, a hint below where one is given. */
export function field(label, control, hint) {
  control.id ||= unique("field");
  const note = hint && h("p", { class: "hint", id: `${control.id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { htmlFor: control.id }, label), control, note);
}

/** A drop-down of [value, text] pairs. */
export function select(options, value, onchange, props = {}) {
  const items = options.map(([key, text]) => h("option", { value: key, selected: key === value }, text));
  return h("select", { ...props, onchange: (event) => onchange(event.target.value) }, items);
}

/** A row of choices of which one holds, as radio buttons that look like one control. */
export function choices(legend, options, value, onchange, props = {}) {
  const name = unique("choice");
  const items = options.map(([key, text, hint]) => {
    const input = h("input", { type: "radio", name, value: key, checked: key === value, onchange: () => onchange(key) });
    return h("label", { class: "choice", title: hint }, input, h("span", {}, text));
  });
  return h("fieldset", { class: `choices ${props.class || ""}` }, h("legend", {}, legend), h("div", { class: "row" }, items));
}

/** A button; `kind` is "main", "plain", "quiet" or "danger". */
export function button(text, onclick, { kind = "plain", glyph, ...props } = {}) {
  return h("button", { type: "button", class: `button ${kind}`, onclick, ...props }, glyph && icon(glyph), h("span", {}, text));
}

/** A button that shows a drawing alone; its text is read aloud and shown as a tip. */
export const iconButton = (glyph, text, onclick, props = {}) =>
  h("button", { type: "button", class: "icon-button", title: text, "aria-label": text, onclick, ...props }, icon(glyph));

/** Run `work` no sooner than `wait` milliseconds after the last call. */
export function debounced(work, wait) {
  let timer = 0;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => work(...given), wait); };
}
