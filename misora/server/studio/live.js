// Follows one's unfinished videos: a stream of events while the page is seen, questions now and then while not or where streams fail.

import { get } from "./api.js";
import { hear, me, tell } from "./state.js";

const POLL = 2000; // milliseconds between questions where there is no stream
const jobs = new Map();
let source = null, timer = 0, failures = 0;

/** The newest that is known of a video, if it moved while this page was open. */
export const latest = (id) => jobs.get(id);
/** The videos that wait or run. */
export const running = () => [...jobs.values()].filter((job) => !finished(job));
/** Whether nothing more will happen to a video. */
export const finished = (job) => job.status === "completed" || job.status === "failed";

/** Begin to follow, for whoever is signed in. */
export function follow() {
  stop();
  if (!me.signed_in) return;
  if (document.hidden || failures > 2) poll();
  else listen();
}

/** Stop following. */
export function stop() {
  source?.close();
  source = null;
  clearTimeout(timer);
}

/** Take in what an answer said of a video, so that it is followed from now on. */
export function note(job) {
  const before = jobs.get(job.id);
  if (before && finished(before)) return;
  jobs.set(job.id, job);
  tell("video", job);
  if (before && finished(job)) tell("finished", job);
}

/** Forget a video that was deleted. */
export function forget(id) {
  jobs.delete(id);
  tell("gone", id);
}

function listen() {
  source = new EventSource("/v1/misora/session/events");
  source.addEventListener("videos", (event) => {
    failures = 0;
    tell("online", true);
    take(JSON.parse(event.data).data);
  });
  source.addEventListener("end", () => { stop(); tell("ended", { code: "session_ended" }); });
  source.onerror = () => {
    failures += 1;
    tell("online", false);
    if (failures > 2 || source?.readyState === EventSource.CLOSED) { stop(); poll(); }
  };
}

async function poll() {
  try {
    take((await get("/misora/videos?limit=30")).data);
    tell("online", true);
    if (!document.hidden && failures) { failures = 0; follow(); return; }
  } catch (problem) {
    if (problem.code === "session_ended") return;
    failures += 1;
    tell("online", false);
  }
  clearTimeout(timer);
  timer = setTimeout(poll, POLL);
}

function take(found) {
  for (const job of found) if (!finished(job) || jobs.has(job.id)) note(job);
  const named = new Set(found.map((job) => job.id));
  for (const job of running()) if (!named.has(job.id)) check(job.id);
}

async function check(id) { // it is in no list any more: deleted elsewhere, or older than the list reaches
  try {
    const [found] = (await get(`/misora/videos?q=${id}`)).data;
    if (found) note(found);
    else forget(id);
  } catch { /* the next list tells */ }
}

document.addEventListener("visibilitychange", follow);
addEventListener("online", follow);
addEventListener("offline", () => { stop(); failures += 1; if (me.signed_in) poll(); }); // a server on this machine may be reached all the same
hear("signed", follow);
