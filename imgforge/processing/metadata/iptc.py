"""IPTC-IIM and Photoshop's resources, for `/info` and for credits. Malformed bytes raise nothing.

The names are the IIM standard's (https://iptc.org/standards/iim/), and beside them the short ones that imgproxy gives
to the title and the caption.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["credits_of", "iptc_in", "iptc_of", "resolution_of", "resources"]

_PHOTOSHOP = b"Photoshop 3.0\x00"
_RESOURCE = b"8BIM"
_IPTC, _RESOLUTION = 0x0404, 0x03ED
_MARKER = 0x1C
# Bounds on hostile files; lengths are in bytes.
_MOST_DATASETS = 2000
_MOST_RESOURCES = 500
_LONGEST = 65536

_NAMES = {
    (1, 5): "Destination",
    (1, 30): "Service Identifier",
    (1, 40): "Envelope Number",
    (1, 50): "Product I.D.",
    (1, 60): "Envelope Priority",
    (1, 70): "Date Sent",
    (1, 80): "Time Sent",
    (1, 100): "Unique Name of Object",
    (2, 3): "Object Type Reference",
    (2, 4): "Object Attribute Reference",
    (2, 5): "Object Name",
    (2, 7): "Edit Status",
    (2, 8): "Editorial Update",
    (2, 10): "Urgency",
    (2, 12): "Subject Reference",
    (2, 15): "Category",
    (2, 20): "Supplemental Category",
    (2, 22): "Fixture Identifier",
    (2, 25): "Keywords",
    (2, 26): "Content Location Code",
    (2, 27): "Content Location Name",
    (2, 30): "Release Date",
    (2, 35): "Release Time",
    (2, 37): "Expiration Date",
    (2, 38): "Expiration Time",
    (2, 40): "Special Instructions",
    (2, 42): "Action Advised",
    (2, 45): "Reference Service",
    (2, 47): "Reference Date",
    (2, 50): "Reference Number",
    (2, 55): "Date Created",
    (2, 60): "Time Created",
    (2, 62): "Digital Creation Date",
    (2, 63): "Digital Creation Time",
    (2, 65): "Originating Program",
    (2, 70): "Program Version",
    (2, 75): "Object Cycle",
    (2, 80): "By-line",
    (2, 85): "By-line Title",
    (2, 90): "City",
    (2, 92): "Sub-location",
    (2, 95): "Province/State",
    (2, 100): "Country Code",
    (2, 101): "Country Name",
    (2, 103): "Original Transmission Reference",
    (2, 105): "Headline",
    (2, 110): "Credit",
    (2, 115): "Source",
    (2, 116): "Copyright Notice",
    (2, 118): "Contact",
    (2, 120): "Caption/Abstract",
    (2, 122): "Writer/Editor",
    (2, 130): "Image Type",
    (2, 131): "Image Orientation",
    (2, 135): "Language Identifier",
}
_NUMBERS = {
    (1, 0): "Model Version",
    (1, 20): "File Format",
    (1, 22): "File Version",
    (2, 0): "Record Version",
}
_REPEATED = frozenset(
    {(1, 5), (1, 50), (2, 4), (2, 12), (2, 20), (2, 25), (2, 26), (2, 27), (2, 45), (2, 47), (2, 50), (2, 80), (2, 85)}
    | {(2, 118), (2, 122)}
)
# The by-line, the credit and the copyright notice, and before them the code that their letters are in.
_CREDITS = frozenset({(2, 80), (2, 110), (2, 116)})
_CHARACTER_SET = (1, 90)
_LONGEST_CREDIT = 0x7FFF
_SHORT = {"Object Name": "Name", "Caption/Abstract": "Caption"}

_DENSITY_UNITS = {1: "inches", 2: "cm"}
_LENGTH_UNITS = {1: "inches", 2: "cm", 3: "points", 4: "picas", 5: "columns"}


def resources(data: bytes) -> dict[int, bytes]:
    """Photoshop's image resources by number; the IIM alone, as TIFF keeps it, counts as the resource that holds it."""
    found: dict[int, bytes] = {}
    if data.startswith(_PHOTOSHOP):
        data = data[len(_PHOTOSHOP) :]
    elif data[:1] == bytes((_MARKER,)):
        return {_IPTC: data}
    at = 0
    while len(found) < _MOST_RESOURCES and data[at : at + 4] == _RESOURCE and at + 12 <= len(data):
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        start = at + 6 + (data[at + 6] + 2) // 2 * 2  # a name behind its length, padded together to even
        length = int.from_bytes(data[start : start + 4], "big")
        found.setdefault(number, data[start + 4 : start + 4 + length])
        at = start + 4 + (length + 1) // 2 * 2
    return found


def iptc_of(found: dict[int, bytes]) -> dict[str, str | int | list[str]]:
    """The datasets of the IIM in Photoshop's resources: texts, numbers, and lists where one may be said repeatedly."""
    fields: dict[str, str | int | list[str]] = {}
    for key, value in _datasets(found.get(_IPTC, b"")):
        if key in _NUMBERS and len(value) == 2:
            fields[_NUMBERS[key]] = int.from_bytes(value, "big")
        elif key in _REPEATED:
            several = fields.setdefault(_NAMES[key], [])
            if isinstance(several, list):
                several.append(_text(value))
        elif key in _NAMES:
            name = _NAMES[key]
            fields[name] = _text(value)
            if name in _SHORT:
                fields[_SHORT[name]] = fields[name]
    return fields


def credits_of(data: bytes) -> bytes:
    """Photoshop's resources reduced to the by-line, the credit and the copyright notice; empty without them."""
    datasets = [one for one in _datasets(resources(data).get(_IPTC, b"")) if one[0] in _CREDITS | {_CHARACTER_SET}]
    if not any(key in _CREDITS for key, _ in datasets):
        return b""
    iim = b"".join(
        bytes((_MARKER, *key)) + len(value).to_bytes(2, "big") + value
        for key, value in datasets
        if len(value) <= _LONGEST_CREDIT
    )
    return _as_resource(iim)


def iptc_in(format_name: str, data: bytes) -> bytes:
    """*data* as libvips must be given it for the format: JPEG has the IIM in Photoshop's resources, TIFF has it bare.

    libvips 8.18 writes only a quarter of the given bytes into a TIFF, hence the padding, which readers of IIM skip.
    """
    if format_name == "jpeg" and data[:1] == bytes((_MARKER,)):
        return _as_resource(data)
    if format_name == "tiff":
        iim = resources(data).get(_IPTC, b"")
        iim += bytes(-len(iim) % 4)
        return iim + bytes(3 * len(iim))
    return data


def _as_resource(iim: bytes) -> bytes:
    nameless = bytes(2)
    resource = _RESOURCE + _IPTC.to_bytes(2, "big") + nameless + len(iim).to_bytes(4, "big") + iim
    return _PHOTOSHOP + resource + bytes(len(iim) % 2)


def _datasets(iim: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yields record and dataset number, and value; ends at the first that is truncated."""
    at = 0
    for _ in range(_MOST_DATASETS):
        if at + 5 > len(iim) or iim[at] != _MARKER:
            return
        key, length = (iim[at + 1], iim[at + 2]), int.from_bytes(iim[at + 3 : at + 5], "big")
        at += 5
        if length & 0x8000:  # an extended dataset: the length of the length, then the length
            size = length & 0x7FFF
            length = int.from_bytes(iim[at : at + size], "big") if size <= 8 else len(iim) + 1
            at += size
        if at + length > len(iim):
            return
        yield key, iim[at : at + length][:_LONGEST]
        at += length


def _text(value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return text.rstrip("\0")


def resolution_of(found: dict[int, bytes]) -> dict[str, int | float | str]:
    """Photoshop's ResolutionInfo; empty where there is none. Densities are fixed-point numbers of 16.16 bits."""
    data = found.get(_RESOLUTION, b"")
    if len(data) < 16:
        return {}
    numbers = [int.from_bytes(data[at : at + 2], "big") for at in range(0, 16, 2)]
    fields: dict[str, int | float | str] = {}
    for axis, side, at in (("X", "Width", 0), ("Y", "Height", 4)):
        density = numbers[at] + numbers[at + 1] / 65536
        fields[f"{axis}Resolution"] = int(density) if density.is_integer() else density
        fields[f"{axis}ResolutionUnit"] = _DENSITY_UNITS.get(numbers[at + 2], "unknown")
        fields[f"{side}Unit"] = _LENGTH_UNITS.get(numbers[at + 3], "unknown")
    return fields
