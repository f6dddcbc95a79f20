"""Keeps the disk cache within its size: entries that were not read for longest go first."""
