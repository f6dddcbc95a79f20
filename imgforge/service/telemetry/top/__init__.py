"""The sources, origins, options and formats that take most of a server: counted by minutes, merged over processes."""

from imgforge.service.telemetry.top.ranking import MEASURES, Ranking, Totals
from imgforge.service.telemetry.top.shared_files import SharedMinutes
from imgforge.service.telemetry.top.top_tables import TABLES, WINDOW, Minute, TopTables, merged

__all__ = [
    "MEASURES",
    "TABLES",
    "WINDOW",
    "Minute",
    "Ranking",
    "SharedMinutes",
    "TopTables",
    "Totals",
    "merged",
]
