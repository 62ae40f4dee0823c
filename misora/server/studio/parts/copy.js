// Put a text where it can be pasted; it knows nothing of what it says.

import { t } from "../i18n.js";
import { toast } from "../toast.js";

/** Copy `text`; without a clipboard (there is none without encryption) mark the element that shows it, so that the keyboard can copy it. */
export async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("code.copied"));
  } catch {
    getSelection().selectAllChildren(shown);
    toast(t("code.marked"));
  }
}
