// The public API as this page uses it: same origin, the session's cookie, the token against forgery; it knows nothing of pages.

let token = "";
let ended = () => {};

/** An answer other than success, with the API's code and field. */
export class Problem extends Error {
  constructor(status, error) {
    super(error?.message || `HTTP ${status}`);
    Object.assign(this, { status, code: error?.code || "", param: error?.param || "" });
  }
}

/** Called with a problem when the session is over. */
export const whenEnded = (callback) => { ended = callback; };

/** One request; `body` is an object, a FormData, or nothing. The answer as JSON, or a Problem. */
export async function call(method, path, body, options = {}) {
  const headers = token && method !== "GET" ? { "x-misora-csrf": token } : {};
  const form = body instanceof FormData;
  if (body !== undefined && !form) headers["content-type"] = "application/json";
  const sent = { method, headers, credentials: "same-origin", cache: "no-store", ...options };
  if (body !== undefined) sent.body = form ? body : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(`/v1${path}`, sent);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "offline", message: "The server cannot be reached." });
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const problem = new Problem(answer.status, told.error);
  if (problem.code === "session_ended") ended(problem);
  throw problem;
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, options) => call("POST", path, body, options);
export const del = (path, options) => call("DELETE", path, undefined, options);

/** Who is signed in, or an object whose `signed_in` is false. */
export async function session() {
  const told = await get("/misora/session");
  token = told.token || "";
  return told;
}

/** Turn a key into a session. */
export async function signIn(key) {
  const told = await post("/misora/session", { key });
  token = told.token;
  return told;
}

/** End the session in this browser. */
export async function signOut() {
  await del("/misora/session");
  token = "";
}

/** The address of a file of one's own video. */
export const fileOf = (id, variant = "video") => `/v1/videos/${id}/content?variant=${variant}`;
/** The address of a file of the public feed. */
export const publicFile = (id, variant = "video") => `/v1/misora/feed/${id}/content?variant=${variant}`;
/** The address of the newest preview. */
export const previewOf = (id, number) => `/v1/misora/videos/${id}/preview?n=${number}`;
