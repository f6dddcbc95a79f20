"""Listening: addresses, TLS, and the spread of connections over workers."""
