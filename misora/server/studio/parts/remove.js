// Deleting with a way back: the clip is hidden at once, and gone only when nobody called it back; it knows no list.

import { del } from "../api.js";
import { t } from "../i18n.js";
import { forget } from "../live.js";
import { tell } from "../state.js";
import { sorry, toast } from "../toast.js";

const waiting = new Map();

/** Whether a clip is on its way out. */
export const leaving = (id) => waiting.has(id);

/** Take a clip away, for good in a few seconds. */
export function removed(video) {
  const end = (by) => {
    waiting.delete(video.id);
    if (by === "action") { tell("back", video.id); return; }
    del(`/videos/${video.id}`, { keepalive: true }).then(() => forget(video.id)).catch((error) => { if (error.status !== 404) { sorry(error); tell("back", video.id); } });
  };
  waiting.set(video.id, end);
  tell("leaving", video.id);
  toast(t("library.deleted"), { seconds: 8, action: { text: t("library.undo"), run: () => {} }, gone: end });
}

addEventListener("pagehide", () => { for (const end of [...waiting.values()]) end("page"); });
