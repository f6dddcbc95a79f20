"""The machine: CPUs, memory limits, the allocator, systemd, signals."""
