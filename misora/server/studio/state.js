// What the whole studio shares: who is signed in, what this browser keeps, and news between pages; it draws nothing.

export const news = new EventTarget();
export const me = { signed_in: false, scopes: [] };

/** Tell everybody who listens. */
export const tell = (name, detail) => news.dispatchEvent(new CustomEvent(name, { detail }));

/** Listen; the answer is a function that stops listening. */
export function hear(name, callback) {
  const heard = (event) => callback(event.detail);
  news.addEventListener(name, heard);
  return () => news.removeEventListener(name, heard);
}

/** Take over what the server said of the session. */
export function become(session) {
  for (const name of Object.keys(me)) delete me[name];
  Object.assign(me, { scopes: [] }, session);
}

/** Whether the key may do that. */
export const may = (scope) => me.scopes.includes(scope) || me.scopes.includes("admin");

/** What this browser keeps under a name; a browser that keeps nothing is no error. */
export function kept(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`misora.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keep a value; undefined forgets it. */
export function keep(name, value) {
  try {
    if (value === undefined) localStorage.removeItem(`misora.${name}`);
    else localStorage.setItem(`misora.${name}`, JSON.stringify(value));
  } catch { /* a private window: the choice holds until it is closed */ }
}
