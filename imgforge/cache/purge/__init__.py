"""Purges by source URL and by tag: a journal that all processes follow, and the removal of what it covers."""
