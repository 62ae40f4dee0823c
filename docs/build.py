"""Writes the pages that must never go stale: ``docs/cli.md`` from the parsers and the READMEs' figures from ``docs/figures.json``.

Run as ``python -m docs.build`` (``make docs``). It knows nothing of what the verbs do.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from misora.cli.main import build_parser

ROOT = Path(__file__).resolve().parent.parent
FIGURES = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)
HEADINGS = {
    "README.md": ("en", "| what | measured | bar | measured by |"),
    "README.ja.md": ("ja", "| 何を | 測った値 | 目標 | 測る命令 |"),
}
# What figures and bars say in words, in Japanese; numbers are put into it.
PHRASES = (
    (r"\(mean of (\d+) clips\)", r"(\1 本の平均)"),
    (r"\(chance (\d+)\)", r"(偶然なら \1)"),
    (r"\(common scenes\)", "(ふだんの場面)"),
    (r"\(all\)", "(すべて)"),
    (r"\(bicubic, blended (\S+)\)", r"(バイキュービックと混合 \1)"),
    (r"bicubic \+ (\d+) dB", r"バイキュービック + \1 dB"),
    (r"samples/s", "サンプル/秒"),
    (r"a matrix product beside it", "同時に測った行列積"),
    (r"(\d+) and (\d+) %", r"\1 と \2 %"),
    (r"within (\d+) points", r"\1 ポイント以内"),
    (r"not looped", "ループなし"),
    (r"(\d+) points (above|below)", lambda found: f"{found[1]} ポイント{'上' if found[2] == 'above' else '下'}"),
    (r"≥ (\d+) below", r"\1 ポイント以上下"),
    (r"([\d.]+) of 255", r"255 のうち \1"),
    (r"(\d+) of (\d+) \((\d+) faults, SQLite and PostgreSQL\)", r"\2 件のうち \1 件(故障 \3 回、SQLite と PostgreSQL)"),
    (r"([\d.]+) % in (\d+) minutes on two cores", r"二コア、\2 分で \1 %"),
    (r"≥ (\d+) % in ≤ (\d+) minutes", r"\2 分以内に ≥ \1 %"),
    (r"(\d+) % of one or two things, (\d+) of all", r"一つか二つの物で \1 %、全体で \2 %"),
    (r"([\d.]+) % of (\d+)", r"\2 本のうち \1 %"),
)
OPENING = """# The command line

Written by `python -m docs.build` from the parsers themselves. Exit codes: 0 done, 1 failed, 2 asked wrongly, 130 interrupted. A mistake
is answered with one sentence that says what to do; `MISORA_DEBUG=1` shows the traceback as well.
"""


def pages() -> dict[Path, str]:
    """Every written page and what it must hold now."""
    return {ROOT / "docs/cli.md": command_line(build_parser())} | {ROOT / name: with_figures(name) for name in HEADINGS}


def command_line(parser: argparse.ArgumentParser) -> str:
    """The whole command line as Markdown."""
    return OPENING + "".join(section(verb, says) for verb, says in verbs_of(parser))


def verbs_of(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Every parser below ``parser``, outermost first, with its one line of help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            says = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, verb in action.choices.items():
                yield verb, says.get(name, "")
                yield from verbs_of(verb)


def section(verb: argparse.ArgumentParser, says: str) -> str:
    """One verb: a heading, its sentence and a table of what it takes."""
    rows = [row(action) for action in verb._actions if not isinstance(action, argparse._HelpAction)]
    table = "\n| | |\n|---|---|\n" + "".join(rows) if rows else ""
    return f"\n## {verb.prog}\n\n{says[:1].upper()}{says[1:].rstrip('.')}.\n{table}"


def row(action: argparse.Action) -> str:
    """One line of a verb's table: the flag with what it takes, and what it means."""
    takes = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    if not action.option_strings:
        name = str(action.metavar or action.dest)
    elif action.nargs == 0:
        name = ", ".join(action.option_strings)
    else:
        name = f"{', '.join(action.option_strings)} {takes}"
    if action.choices and not isinstance(action, argparse._SubParsersAction):
        name = name.replace(str(takes), "|".join(map(str, action.choices))) if takes else name
    text = (action.help or "").replace("%(default)s", str(action.default))
    return f"| `{name}` | {text} |\n".replace("`" + name + "`", "`" + name.replace("|", "\\|") + "`")


def with_figures(name: str) -> str:
    """A README with its table of figures as ``docs/figures.json`` has it: one that misses its bar in bold, a row without one left out."""
    language, heading = HEADINGS[name]
    measured = [row for row in json.loads((ROOT / "docs/figures.json").read_text(encoding="utf-8")) if row["figure"]]
    told = (lambda text: text) if language == "en" else in_japanese
    rows = ""
    for row in measured:
        bold = "**" if row.get("missed") else ""
        rows += f"| {row[language]} | {bold}{told(row['figure'])}{bold} | {told(row['bar'])} | `{row['command']}` |\n"
    table = f"{heading}\n|---|---|---|---|\n{rows}"
    return FIGURES.sub(lambda _: table, (ROOT / name).read_text(encoding="utf-8"))


def in_japanese(text: str) -> str:
    """A figure or a bar with its words in Japanese."""
    for pattern, words in PHRASES:
        text = re.sub(pattern, words, text)
    return text


def main() -> None:
    """Write every page that is not current, and name it."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
