"""The memory budget of pixels, and the cancellation of libvips work."""
