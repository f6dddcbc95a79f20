"""Write the generated parts of docs/ and etc/ anew: `tox run -e docs`. The tests fail while they are out of date."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from imgforge.config import markdown_reference, toml_example
from imgforge.error_catalogue import CHAPTERS, Entry
from imgforge.observability import ImgproxyMetrics, Metrics
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


# What there is to say of an option beyond that it works as documented, by (verdict, note). Verdicts: same; better; own
# look, where the documentation of what imgproxy sells leaves it open and no picture of it is free; different; ours.
NOTES = {
    "adjust": ("same", "contrast about 128, then brightness, then saturation, as in the Rust imgforge"),
    "autoquality": ("same", "none, size and dssim, (1 - SSIM) / 2 of the luminance; ml is refused"),
    "avif_options": ("same", "imgproxy's words, or 1 and 0 for no subsampling as in the Rust imgforge"),
    "background": ("same", "3 or 6 digits, R:G:B, and RRGGBBAA as the Rust imgforge documents"),
    "blur_areas": ("same", "coordinates of the picture as it is seen, trimmed if it is"),
    "color_profile": ("same", "srgb, cmyk, p3 and files; CMYK in JPEG and TIFF only"),
    "contrast": ("same", "`co` is contrast, as in both peers; crop_objects has no short name"),
    "crop": ("same", "without a gravity the centre, as in both peers; the Rust documentation says the corner"),
    "dpr": ("same", "any factor above 0; the Rust imgforge takes 1 to 5"),
    "duotone": ("own look", "the colours mixed by luminance"),
    "enforce_thumbnail": ("same", "HEIC and AVIF"),
    "format": ("same", "`best` tries the preferred formats, and besides what the client takes"),
    "gradient": ("own look", "linear in the samples"),
    "gravity": ("different", "no obj and objw: objects are not looked for"),
    "jpeg_options": ("different", "trellis, deringing, scans and tables need a libvips with mozjpeg"),
    "max_result_dimension": ("different", "refuses, as the Rust imgforge; imgproxy scales down"),
    "max_src_resolution": ("different", "0 is no limit; imgproxy then refuses everything"),
    "monochrome": ("own look", "black to white by way of the colour"),
    "page": ("same", "GIF, WebP, TIFF and PDF"),
    "preserve_hdr": ("better", "blur, sharpen and pixelate keep 16 bits; imgproxy's go back to 8"),
    "progressive_blur": ("own look", "fades through four blurs"),
    "resizing_algorithm": ("same", "as in both peers"),
    "rotate": ("better", "negative angles work"),
    "round": ("ours", "imgforge's own"),
    "saturation": ("same", "about the luminance of Rec. 709, as in the Rust imgforge; 0 is grey"),
    "skip_processing": ("same", "formats of sources, those that are read only too"),
    "trim": ("different", "negative thresholds are refused"),
    "unsharp_masking": ("different", "off unless asked for (imgproxy Pro: auto)"),
    "watermark_text": ("same", "fonts are those of the server"),
    "webp_options": ("same", "imgproxy's words, or 1 and 0 for lossless as in the Rust imgforge"),
}


def compatibility_table() -> str:
    """Every option, and how far it is what the peers document; the totals first."""
    rows = [
        (option.name, *(("missing", "") if option.kind == "absent" else NOTES.get(option.name, ("same", ""))))
        for option in OPTIONS
    ]
    rows.append(("preset", "same", ""))
    count = Counter(verdict for _, verdict, _ in rows)
    totals = ", ".join(f"{number} {verdict}" for verdict, number in count.most_common())
    lines = (f"| `{name}` | {verdict} | {note} |" for name, verdict, note in sorted(rows))
    return "\n".join([f"Of {len(rows)} options: {totals}.", "", "| option | | |", "|---|---|---|", *lines])


def errors_reference() -> str:
    """Every error: its status, its messages, cause and cure, and the settings that decide it."""
    chapters = ["\n".join(f"{number}. [{title}](#{_slug(title)})" for number, (title, *_) in enumerate(CHAPTERS, 1))]
    for title, opening, entries in CHAPTERS:
        chapters += [f"## {title}", opening, *map(_error, entries)]
    return "\n\n".join(chapters)


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def _error(entry: Entry) -> str:
    statuses = " or ".join(map(str, entry.statuses))
    messages = "\n".join(f"    {message.replace('{}', '...')}" for message in entry.messages)
    about = [f"- Cause: {entry.cause}", f"- Cure: {entry.cure}"]
    if entry.settings:
        about.append(f"- Settings: {', '.join(f'`{name}`' for name in entry.variables)}")
    return "\n\n".join([f"### {entry.anchor}", f"{statuses}, {entry.part}", messages, "\n".join(about)])


# imgproxy's metrics, and the expression that gives the same of imgforge's own ones, which are there in any case.
IMGPROXY_METRICS = {
    "requests_total": "sum(http_requests_duration_seconds_count)",
    "status_codes_total": "status_codes_total",
    "errors_total": "status_codes_total, refusals_total",
    "request_duration_seconds": "http_requests_duration_seconds",
    "request_span_duration_seconds": "image_operation_semaphore_wait_duration_seconds, "
    "source_image_fetch_duration_seconds, image_operation_execution_duration_seconds",
    "workers": "image_operation_concurrency_limit",
    "requests_in_progress": "requests_in_progress",
    "images_in_progress": "images_in_progress",
    "workers_utilization": "100 * requests_in_progress / image_operation_concurrency_limit",
    "vips_memory_bytes": "vips_memory_bytes",
    "vips_max_memory_bytes": "vips_memory_highwater_bytes",
    "vips_allocs": "vips_allocations",
}


def imgproxy_metrics_table() -> str:
    """imgproxy's metrics as imgforge exports them: type, labels, meaning, and its own metrics."""
    metrics = Metrics()
    metrics.imgproxy = ImgproxyMetrics(metrics.registry, metrics.exemplars)
    metrics.expect(paths=(), caches=(), formats=())  # the first label of status_codes_total
    families = {family.name: family for family in metrics.registry.collect()}
    rows = ["| imgproxy's metric | type | labels | | imgforge's own |", "|---|---|---|---|---|"]
    for name, own in IMGPROXY_METRICS.items():
        family = families[name.removesuffix("_total")]
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        named = (", ".join(f"`{one.strip()}`" for one in texts) for texts in (labels, own.split(",")))
        rows.append(
            "| {} | {} | {} | {} | {} |".format(
                f"`{name}`", family.type, next(named), family.documentation, next(named)
            )
        )
    return "\n".join(rows)


def filled(text: str, name: str, content: str) -> str:
    """*text* with *content* between the comments that mark the place called *name*."""
    pattern = re.compile(rf"(<!-- {name}:.*?-->\n).*?(<!-- end -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text)


def generated() -> dict[Path, str]:
    """Every generated file and what it must contain."""
    names = ("usage", "operations", "compatibility", "metrics", "errors")
    usage, operations, compatibility, metrics, errors = (ROOT / f"docs/{name}.md" for name in names)
    return {
        ROOT / "etc/imgforge.toml": toml_example(),
        usage: filled(usage.read_text("utf-8"), "options", options_table()),
        compatibility: filled(compatibility.read_text("utf-8"), "compatibility", compatibility_table()),
        errors: filled(errors.read_text("utf-8"), "errors", errors_reference()),
        metrics: filled(metrics.read_text("utf-8"), "imgproxy's metrics", imgproxy_metrics_table()),
        operations: filled(operations.read_text("utf-8"), "settings", markdown_reference().strip()),
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content, "utf-8")
