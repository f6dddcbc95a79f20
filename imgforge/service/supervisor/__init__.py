"""The process that starts, watches and replaces worker processes."""
