"""The parts of `imgforge warm`."""
