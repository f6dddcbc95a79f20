"""What the server answers besides HTTP's own matters: images, /info, /status, /metrics, purges, the landing page."""
