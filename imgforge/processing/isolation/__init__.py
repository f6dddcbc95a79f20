"""Decoders that may crash or loop run in a process of their own."""

from imgforge.processing.isolation.parent import clean_isolated, decode_isolated, decoder_usage, size_only

__all__ = ["clean_isolated", "decode_isolated", "decoder_usage", "size_only"]
