"""Limits within a render: memory for pixels, and cancellation."""
