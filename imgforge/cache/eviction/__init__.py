"""Eviction from the disk tier: the least recently used entries go first, for size, age or free space."""
