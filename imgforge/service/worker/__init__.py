"""A worker process: how it starts, and what it tells the supervisor."""
