"""The stages of an image's way, one module each: crop, resize, filters, canvas, overlays, output colours."""
