"""The twistd service: processes, listeners, signals, and the composition of everything else."""
