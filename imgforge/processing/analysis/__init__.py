"""Answers about an image instead of pixels: /info, its palette, its placeholders."""
