"""Write the generated parts of docs/ and etc/ anew: `tox run -e docs`. The tests fail while they are out of date."""

from __future__ import annotations

import re
from pathlib import Path

from imgforge.config import markdown_reference, toml_example
from imgforge.urls import OPTIONS

ROOT = Path(__file__).parents[1]


def options_table() -> str:
    """The processing options as a Markdown table."""
    rows = ["| option | also | arguments | |", "|---|---|---|---|"]
    for option in sorted(OPTIONS, key=lambda option: option.name):
        aliases = ", ".join(f"`{alias}`" for alias in option.aliases)
        note = " (needs `IMGFORGE_ALLOW_SECURITY_OPTIONS`)" if option.kind == "security" else ""
        rows.append(f"| `{option.name}` | {aliases} | `{option.usage}` | {option.summary}{note} |")
    return "\n".join(rows)


def filled(text: str, name: str, content: str) -> str:
    """*text* with *content* between the comments that mark the place called *name*."""
    pattern = re.compile(rf"(<!-- {name}:.*?-->\n).*?(<!-- end -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text)


def generated() -> dict[Path, str]:
    """Every generated file and what it must contain."""
    usage, operations = ROOT / "docs/usage.md", ROOT / "docs/operations.md"
    return {
        ROOT / "etc/imgforge.toml": toml_example(),
        usage: filled(usage.read_text("utf-8"), "options", options_table()),
        operations: filled(operations.read_text("utf-8"), "settings", markdown_reference().strip()),
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content, "utf-8")
