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


# What there is to say of an option beyond that it works as documented by imgproxy.
NOTES = {
    "autoquality": "none, size and dssim; the distance is (1 - SSIM) / 2 of the luminance; no ml",
    "background": "3 or 6 digits or R:G:B; not the Rust imgforge's RRGGBBAA (use background_alpha)",
    "blur_areas": "coordinates of the picture as it is seen",
    "color_profile": "srgb, cmyk, p3 and files; CMYK in JPEG and TIFF only",
    "contrast": "`co` is contrast, as in both peers; crop_objects has no short name",
    "duotone": "own choice of look: the colours mixed by luminance",
    "format": "`best` tries what the client takes besides jpeg, png and gif",
    "gravity": "no obj and objw",
    "gradient": "own choice of look: linear in the samples",
    "jpeg_options": "trellis, deringing, scans and tables need a libvips with mozjpeg",
    "max_result_dimension": "refuses, as the Rust imgforge; imgproxy scales down",
    "monochrome": "own choice of look: black to white by way of the colour",
    "page": "GIF, WebP, TIFF and PDF",
    "progressive_blur": "own choice of look: fades through four blurs",
    "resizing_algorithm": "as in both peers",
    "round": "imgforge's own",
    "saturation": "about the luminance of Rec. 709",
    "trim": "negative thresholds are refused",
    "unsharp_masking": "off unless asked for (imgproxy Pro: auto)",
    "watermark_text": "fonts are those of the server",
    "webp_options": "imgproxy's words, or 1 and 0 for lossless as in the Rust imgforge",
    "avif_options": "imgproxy's words, or 1 and 0 for no subsampling as in the Rust imgforge",
}


def compatibility_table() -> str:
    """Every option, and how far it is what the peers document."""
    names = sorted(option.name for option in OPTIONS)
    return "\n".join(["| option | |", "|---|---|", *(f"| `{name}` | {NOTES.get(name, 'same')} |" for name in names)])


def filled(text: str, name: str, content: str) -> str:
    """*text* with *content* between the comments that mark the place called *name*."""
    pattern = re.compile(rf"(<!-- {name}:.*?-->\n).*?(<!-- end -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text)


def generated() -> dict[Path, str]:
    """Every generated file and what it must contain."""
    usage, operations, compatibility = (ROOT / f"docs/{name}.md" for name in ("usage", "operations", "compatibility"))
    return {
        ROOT / "etc/imgforge.toml": toml_example(),
        usage: filled(usage.read_text("utf-8"), "options", options_table()),
        compatibility: filled(compatibility.read_text("utf-8"), "compatibility", compatibility_table()),
        operations: filled(operations.read_text("utf-8"), "settings", markdown_reference().strip()),
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content, "utf-8")
