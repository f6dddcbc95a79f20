"""Warming: reads access logs, counts their image paths, and asks a server for them."""

from imgforge.cli.warming.image_paths import ImagePaths, is_success
from imgforge.cli.warming.log_formats import LoggedRequest, LogParser
from imgforge.cli.warming.log_reader import LogReader, LogTotals
from imgforge.cli.warming.path_counts import PathCounts
from imgforge.cli.warming.replay import Replay, ReplaySettings
from imgforge.cli.warming.resume_file import ResumeFile, WrongResumeFile
from imgforge.cli.warming.signalled_reactor import ReplayResult, replay_until_signalled
from imgforge.cli.warming.since import parse_since
from imgforge.cli.warming.tally import Tally
from imgforge.cli.warming.warming_run import WarmOptions, run_warming

__all__ = [
    "ImagePaths",
    "LogParser",
    "LogReader",
    "LogTotals",
    "LoggedRequest",
    "PathCounts",
    "Replay",
    "ReplayResult",
    "ReplaySettings",
    "ResumeFile",
    "Tally",
    "WarmOptions",
    "WrongResumeFile",
    "is_success",
    "parse_since",
    "replay_until_signalled",
    "run_warming",
]
