// Words in the reader's language, from one table per language; it knows no page.

const LANGUAGES = { en: () => import("./words/en.js"), ja: () => import("./words/ja.js") };
let table = {};
export let language = "en";

/** The languages there are, with their own names. */
export const NAMES = { en: "English", ja: "日本語" };

/** Load the words: of the choice that was kept, or of the first of the browser's languages that we have. */
export async function load(wanted) {
  const asked = [wanted, ...navigator.languages].map((each) => (each || "").slice(0, 2));
  language = asked.find((each) => each in LANGUAGES) || "en";
  table = (await LANGUAGES[language]()).default;
  document.documentElement.lang = language;
}

/** The words of that name, with `{…}` replaced. A name without words is a mistake, and is shown as it is. */
export function t(name, values = {}) {
  const words = table[name];
  if (words === undefined) return `⟦${name}⟧`;
  if (typeof words === "function") return words(values);
  return words.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

/** Whether there are words of that name. */
export const known = (name) => table[name] !== undefined;

/** A moment, short. */
export const moment = (seconds) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(seconds * 1000));

/** A span of seconds in words: 45 s, 3 min. */
export function span(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 90 ? t("span.seconds", { n: whole }) : t("span.minutes", { n: Math.round(whole / 60) });
}

/** A number as the language writes it. */
export const number = (value) => new Intl.NumberFormat(language).format(value);

/** What went wrong, in the reader's words where the API's code is known, else in the server's. */
export function trouble(error) {
  if (language !== "en" && known(`error.${error.code}`)) return t(`error.${error.code}`);
  if (["offline", "session_ended"].includes(error.code)) return t(`error.${error.code}`);
  return language === "en" ? error.message : t("error.other", { code: error.code || error.status || "" });
}
