"""The twistd service: processes, listeners, signals, and the composition of everything else."""

import imgforge.service.net.listeners  # noqa: F401  # first of all: it notes what others remove from the environment
