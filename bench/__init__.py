"""Programs that measure imgforge and its peers; each has `--help` and runs as `python bench/NAME.py`."""
