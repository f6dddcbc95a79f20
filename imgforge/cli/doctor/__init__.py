"""The checks of `imgforge doctor`: the installation, the machine, and what the settings have the server reach."""

from imgforge.cli.doctor.connections import check_origins, check_queue, check_shared_cache, check_stores
from imgforge.cli.doctor.finding import Finding, Level
from imgforge.cli.doctor.installation import check_extras, check_fonts, check_formats, check_versions
from imgforge.cli.doctor.machine import (
    check_cache_directory,
    check_descriptors,
    check_memory,
    check_ports,
    check_processes,
)
from imgforge.cli.doctor.parts import check_parts

__all__ = [
    "Finding",
    "Level",
    "check_cache_directory",
    "check_descriptors",
    "check_extras",
    "check_fonts",
    "check_formats",
    "check_memory",
    "check_origins",
    "check_parts",
    "check_ports",
    "check_processes",
    "check_queue",
    "check_shared_cache",
    "check_stores",
    "check_versions",
]
