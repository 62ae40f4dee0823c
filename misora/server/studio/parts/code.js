// A clip's request as code for the SDK, curl and the command line; it knows nothing of the page around it.

import { button, choices, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { copy } from "./copy.js";
import { dialog } from "./dialog.js";

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
const python = (value) => JSON.stringify(value);

/** The three ways to ask for this video again. */
export function code(video) {
  if (video.remixed_from_video_id) return remixed(video);
  const { prompt, size, seconds, model } = video, seed = video.misora?.seed;
  const extra = seed === undefined || seed === null ? "" : `,\n    extra_body={"seed": ${seed}}`;
  const body = { prompt, size, seconds, model, ...(seed === undefined || seed === null ? {} : { seed }) };
  return {
    sdk: `from openai import OpenAI

client = OpenAI(base_url=${python(`${location.origin}/v1`)}, api_key="YOUR_KEY")
video = client.videos.create_and_poll(
    prompt=${python(prompt)},
    model=${python(model)}, size=${python(size)}, seconds=${python(seconds)}${extra},
)
client.videos.download_content(video.id).write_to_file("video.mp4")`,
    curl: `curl ${quoted(`${location.origin}/v1/videos`)} \\
  -H "Authorization: Bearer $MISORA_API_KEY" -H 'Content-Type: application/json' \\
  -d ${quoted(JSON.stringify(body))}`,
    cli: `misora generate ${quoted(prompt)} --size ${size} --seconds ${seconds}${seed === undefined || seed === null ? "" : ` --seed ${seed}`} --server ${quoted(location.origin)}`,
  };
}

function remixed({ prompt, remixed_from_video_id: from }) {
  return {
    sdk: `from openai import OpenAI

client = OpenAI(base_url=${python(`${location.origin}/v1`)}, api_key="YOUR_KEY")
video = client.videos.poll(client.videos.remix(${python(from)}, prompt=${python(prompt)}).id)
client.videos.download_content(video.id).write_to_file("video.mp4")`,
    curl: `curl ${quoted(`${location.origin}/v1/videos/${from}/remix`)} \\
  -H "Authorization: Bearer $MISORA_API_KEY" -H 'Content-Type: application/json' \\
  -d ${quoted(JSON.stringify({ prompt }))}`,
    cli: `misora remix ${quoted(`${from}.mp4`)} ${quoted(prompt)}`,
  };
}

/** Show them, to be copied. */
export function showCode(video) {
  const written = code(video);
  dialog(t("code.title"), () => {
    const text = h("pre", { class: "code", translate: "no", tabindex: "0" });
    let now = "sdk";
    const turn = (kind) => { now = kind; fill(text, written[kind]); };
    turn(now);
    return [choices(t("code.as"), [["sdk", "openai SDK"], ["curl", "curl"], ["cli", "misora"]].map(([kind, name]) => [kind, h("span", { translate: "no" }, name)]), now, turn), text, button(t("code.copy"), () => copy(written[now], text), { kind: "main", glyph: "code" })];
  }, { class: "wide" });
}
