"""Decoding and encoding, one module a library or a format that libvips does not read by itself."""
