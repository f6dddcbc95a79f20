"""Limits on the work under way: fetches and renders at once, and bytes of originals in memory."""
