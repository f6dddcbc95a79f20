"""Decoders that may crash or loop run in a process of their own."""

from imgforge.processing.isolation.parent import cleaned_apart, decoded_apart

__all__ = ["cleaned_apart", "decoded_apart"]
