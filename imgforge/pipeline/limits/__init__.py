"""How much may be under way at once: renders, and bytes of originals in memory."""
