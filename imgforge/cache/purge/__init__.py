"""Purges by URL, source, prefix and tag: a journal that all processes follow, and the removal of covered entries."""
