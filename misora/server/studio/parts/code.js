// A clip's request as code for the SDK, curl and the command line; it knows nothing of the page around it.

import { button, choices, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { copy } from "./copy.js";
import { dialog } from "./dialog.js";

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
const literal = { true: "True", false: "False", null: "None" };
const flag = (name, value) => (value === undefined ? "" : ` --${name} ${typeof value === "number" ? value : quoted(value)}`);

/** A value as Python writes it. */
function python(value) {
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (value && typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${python(each)}`).join(", ")}}`;
  return typeof value === "string" ? JSON.stringify(value) : literal[value] ?? JSON.stringify(value);
}

/** The ways to ask for this video again; one that cannot say it is missing. */
export function code(video) {
  const { verb, seed, asked = {} } = video.misora || {};
  const { new_seconds: longer, video: from, ...rest } = asked;
  const tuning = { ...given(rest), ...(seed === undefined || seed === null ? {} : { seed }) };
  const source = from || upload("clip.mp4", "video/mp4");
  const [call, path, body] = {
    remix: ["remix", `/videos/${video.remixed_from_video_id}/remix`, { prompt: video.prompt }],
    extend: ["extend", "/videos/extensions", { prompt: video.prompt, video: source, seconds: String(longer) }],
  }[verb] || (from === undefined ? ["create_and_poll", "/videos", { prompt: video.prompt, model: video.model, size: video.size, seconds: video.seconds }]
    : ["edit", "/videos/edits", { prompt: video.prompt, video: source }]);
  if (asked.storyboard && body.video?.upload) tuning.storyboard = JSON.stringify(asked.storyboard); // a form, in which text stays whole
  const whole = asked.storyboard && !body.video?.upload;
  const asking = whole ? posted(path, { ...body, ...tuning }) : called(call, body, tuning, video.remixed_from_video_id);
  return { sdk: sdk(asking, call), curl: curl(path, { ...body, ...tuning }), ...cli(video, tuning, asked) };
}

const upload = (file, kind) => ({ upload: file, kind });

/** Fields as they were sent, with names of files in the place of uploads. */
function given(asked) {
  const names = { input_reference: "first.png", last_frame: "last.png", mask: "mask.png", reference: "clip.mp4", connect: "second.mp4" };
  return Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, value ?? upload(names[name] || "file", /png$/.test(names[name]) ? "image/png" : "video/mp4")]));
}

function sdk(asking, call) {
  return `from openai import OpenAI${asking.includes("=omit") ? ", omit" : ""}${asking.includes("cast_to=Video") ? "\nfrom openai.types import Video" : ""}

client = OpenAI(base_url=${python(`${location.origin}/v1`)}, api_key="YOUR_KEY")
video = ${asking}${call === "create_and_poll" && !asking.includes("cast_to") ? "" : "\nvideo = client.videos.poll(video.id)"}
client.videos.download_content(video.id).write_to_file("video.mp4")`;
}

/** The SDK's own call sends a form, in which a list of cards cannot be told apart from a card of lists. */
const posted = (path, body) => `client.post(${python(path)}, cast_to=Video, body=${python(body)})`;

function called(call, { video, ...body }, tuning, from) { // its own field for a clip takes files alone
  const byName = video && !video.upload ? { video } : {};
  const value = (each) => (each?.upload ? `open(${python(each.upload)}, "rb")` : python(each));
  const own = Object.entries(video?.upload ? { ...body, video } : body).map(([name, each]) => `${name}=${value(each)}`);
  if (byName.video) own.push("video=omit");
  const { input_reference: first, ...others } = { ...byName, ...tuning };
  if (first) own.push(`input_reference=${value(first)}`);
  const extra = Object.entries(others).map(([name, each]) => `${python(name)}: ${each?.upload ? `{"image_url": ${python(`data:${each.kind};base64,…`)}}` : python(each)}`);
  const lines = [...(call === "remix" ? [python(from)] : []), ...own, ...(extra.length ? [`extra_body={${extra.join(", ")}}`] : [])];
  return `client.videos.${call}(\n    ${lines.join(",\n    ")},\n)`;
}

function curl(path, body) {
  const start = `curl ${quoted(`${location.origin}/v1${path}`)} \\\n  -H "Authorization: Bearer $MISORA_API_KEY"`;
  if (!Object.values(body).some((value) => value?.upload)) return `${start} -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}`;
  return [start, ...Object.entries(body).flatMap(([name, value]) => parts(name, value))].join(" \\\n  ");
}

function parts(name, value) { // of a form, the way that the API reads it
  if (value?.upload) return [`-F ${quoted(`${name}=@${value.upload};type=${value.kind}`)}`];
  if (Array.isArray(value)) return value.flatMap((each) => parts(`${name}[]`, each));
  if (value && typeof value === "object") return Object.entries(value).flatMap(([key, each]) => parts(`${name}[${key}]`, each));
  return [`--form-string ${quoted(`${name}=${value}`)}`];
}

/** The command line, where it has flags for all that was asked; the clips are named as they are downloaded. */
function cli({ prompt, size, seconds }, tuning, asked) {
  if (asked.storyboard || asked.characters || asked.reference !== undefined || asked.trim) return {};
  const words = quoted(prompt), clip = asked.video === undefined ? "" : quoted(asked.video ? `${asked.video.id}.mp4` : "clip.mp4");
  const how = ["steps", "guidance", "speed", "seed"].map((name) => flag(name, tuning[name])).join("") + flag("negative", tuning.negative_prompt) + ` --server ${quoted(location.origin)}`;
  const shape = ` --size ${size} --seconds ${seconds}`, box = asked.inpaint;
  if (!clip && asked.input_reference !== undefined) return { cli: `misora animate 'first.png' ${words}${asked.last_frame === undefined ? "" : " --last 'last.png'"}${shape}${how}` };
  if (!clip) return { cli: `misora ${asked.loop ? "loop" : "generate"} ${words}${shape}${how}` };
  if (asked.connect !== undefined) return { cli: `misora connect ${clip} ${quoted(asked.connect ? `${asked.connect.id}.mp4` : "second.mp4")} ${words}${flag("seconds", asked.gap)}${how}` };
  if (asked.loop) return { cli: `misora loop ${clip} ${words}${flag("overlap", asked.loop)}${how}` };
  if (asked.new_seconds) return { cli: `misora extend ${clip} ${words}${flag("seconds", asked.new_seconds)}${asked.backward ? " --backward" : ""}${how}` };
  if (box || asked.mask !== undefined) return { cli: `misora inpaint ${clip} ${words}${asked.mask === undefined ? ` --box ${[box.x, box.y, box.width, box.height]}` : " --mask 'mask.png'"}${flag("from", box?.from)}${flag("to", box?.to)}${flag("strength", asked.strength)}${how}` };
  return { cli: `misora remix ${clip} ${words}${flag("strength", asked.strength)}${how}` };
}

/** Show them, to be copied. */
export function showCode(video) {
  const written = code(video), names = [["sdk", "openai SDK"], ["curl", "curl"], ["cli", "misora"]].filter(([kind]) => written[kind]);
  dialog(t("code.title"), () => {
    const text = h("pre", { class: "code", translate: "no", tabindex: "0" });
    let now = "sdk";
    const turn = (kind) => { now = kind; fill(text, written[kind]); };
    turn(now);
    return [choices(t("code.as"), names.map(([kind, name]) => [kind, h("span", { translate: "no" }, name)]), now, turn), text, button(t("code.copy"), () => copy(written[now], text), { kind: "main", glyph: "code" })];
  }, { class: "wide" });
}
