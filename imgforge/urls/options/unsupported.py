"""Options for features that this server lacks, such as videos or object detection.

URLs and presets that were written for another server may switch them off; anything else is an error that says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from imgforge.urls.options.option import ArgumentGroup, Option

__all__ = ["ABSENT", "OBJECTS", "OBJECTS_POSITION", "VIDEO", "absent"]

OBJECTS = "the detection of objects"
VIDEO = "video"
_OFF = frozenset({"", "0", "f", "F", "false", "FALSE", "False"})


def absent(name: str, *aliases: str, needs: str, summary: str) -> Option:
    """The row of an option that *needs* a feature this server lacks."""

    def off(arguments: Sequence[str], _: object) -> bool:
        if arguments[0] not in _OFF:
            raise ValueError(f"{needs} is not supported by this server")
        return False

    return Option(
        name, aliases, (ArgumentGroup(name, off, "0", 256),), f"{summary}: not supported, may be off", "absent"
    )


def _unused(_: Sequence[str], __: object) -> None:
    """Takes any arguments: there are no objects to position."""


OBJECTS_POSITION = Option(
    "objects_position",
    ("obj_pos", "op"),
    (ArgumentGroup("objects_position", _unused, "type:x:y", 3),),
    "changes nothing: objects are not detected",
    "absent",
)

# The rows of image URLs.
ABSENT = (
    OBJECTS_POSITION,
    absent("blur_detections", "bd", needs=OBJECTS, summary="blurs objects"),
    absent("draw_detections", "dd", needs=OBJECTS, summary="draws frames around objects"),
    absent("crop_objects", needs=OBJECTS, summary="crops to objects"),
    absent("video_thumbnail_second", "vts", needs=VIDEO, summary="the frame of a video"),
    absent("video_thumbnail_keyframes", "vtk", needs=VIDEO, summary="the frame of a video"),
    absent("video_thumbnail_tile", "vtt", needs=VIDEO, summary="many frames of a video"),
    absent("video_thumbnail_animation", "vta", needs=VIDEO, summary="an animation from a video"),
)
