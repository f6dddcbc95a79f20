"""Originals over HTTP and HTTPS: connections, redirects, deadlines, bodies and their content encodings."""
