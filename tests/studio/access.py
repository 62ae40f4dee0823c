"""What axe finds on a page as it stands, in both themes; it knows nothing of pages."""

from __future__ import annotations

from typing import Any

SERIOUS = ("serious", "critical")
NEWS = "dialog[open], .toast, .unknown, .expanded, .report, .verdict, .empty, .offline, .wrong, .working"  # what comes up on a page
ASK = """async ([within, options]) => {
  for (let i = 0; i < 2; i += 1) await new Promise(requestAnimationFrame); // until the theme's colours have changed over
  const parts = within ? [...document.querySelectorAll(within)].filter((each) => each.checkVisibility({ visibilityProperty: true })) : [];
  return (await axe.run(parts.length ? { include: parts } : document, { resultTypes: ["violations"], ...options })).violations;
}"""
COLOURS = {"runOnly": ["color-contrast"]}  # all in which the themes differ


def faults(page: Any, within: str = "") -> list[tuple[str, str, str]]:
    """Serious and critical faults: the theme, the rule, the element; of the whole page, or of what such selectors name."""
    from axe_playwright_python.sync_playwright import Axe

    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = []
    for theme, options in (("dark", COLOURS), ("light", {})):
        page.emulate_media(color_scheme=theme)
        told = page.evaluate(ASK, [within, options])
        found += [(theme, each["id"], each["nodes"][0]["html"][:200]) for each in told if each["impact"] in SERIOUS]
    return found
