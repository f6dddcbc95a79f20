"""Decoders that may crash or loop run in a process of their own."""
