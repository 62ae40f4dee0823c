// An object with files in it as the form that the API reads; it knows no field by name.

/** A FormData where a value is a File or a Blob, else the object itself, less what is undefined. */
export function sent(body) {
  const told = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined && value !== null && value !== ""));
  if (!Object.values(told).some((value) => value instanceof Blob)) return told;
  const form = new FormData();
  for (const [name, value] of Object.entries(told)) put(form, name, value);
  return form;
}

function put(form, name, value) {
  if (value instanceof Blob) form.append(name, value, value.name || "upload");
  else if (Array.isArray(value)) for (const each of value) put(form, `${name}[]`, each);
  else if (value && typeof value === "object") for (const [key, each] of Object.entries(value)) put(form, `${name}[${key}]`, each);
  else form.append(name, String(value));
}
