"""EXIF for `/info`: libvips' fields under readable names, with readable values.

libvips has a field for each entry: `exif-ifd0-Orientation` is "6 (Right-top, Short, 1 components, 2 bytes)", the number
in the file and libexif's text for it. The readable names are libexif's, as imgproxy's are.
"""

from __future__ import annotations

import re
from typing import Any

from imgforge.processing.pyvips_compat import field_names

__all__ = ["exif_of"]

_FIELD = re.compile(r"exif-ifd[0-9]-(.+)")
_KIND = re.compile(r", (\w+), [0-9]+ components, [0-9]+ bytes\)\Z")
# libexif's text for numbers without words, where it was built small.
_WORDLESS = "Internal error"

# Most readable names are the canonical ones, cut into words; these are not.
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NAMES = {
    "ApertureValue": "Aperture",
    "BitsPerSample": "Bits per Sample",
    "BrightnessValue": "Brightness",
    "CompressedBitsPerPixel": "Compressed Bits per Pixel",
    "DateTime": "Date and Time",
    "DateTimeDigitized": "Date and Time (Digitized)",
    "DateTimeOriginal": "Date and Time (Original)",
    "ExposureBiasValue": "Exposure Bias",
    "FNumber": "F-Number",
    "FlashpixVersion": "FlashPixVersion",
    "FocalLengthIn35mmFilm": "Focal Length in 35mm Film",
    "FocalPlaneXResolution": "Focal Plane X-Resolution",
    "FocalPlaneYResolution": "Focal Plane Y-Resolution",
    "GPSAltitude": "Altitude",
    "GPSAltitudeRef": "Altitude Reference",
    "GPSAreaInformation": "Name of GPS Area",
    "GPSDOP": "Measurement Precision",
    "GPSDateStamp": "GPS Date",
    "GPSDestBearing": "Bearing of Destination",
    "GPSDestBearingRef": "Reference for Bearing of Destination",
    "GPSDestDistance": "Distance to Destination",
    "GPSDestDistanceRef": "Reference for Distance to Destination",
    "GPSDestLatitude": "Latitude of Destination",
    "GPSDestLatitudeRef": "Reference For Latitude of Destination",
    "GPSDestLongitude": "Longitude of Destination",
    "GPSDestLongitudeRef": "Reference for Longitude of Destination",
    "GPSDifferential": "GPS Differential Correction",
    "GPSHPositioningError": "GPS Horizontal Positioning Error",
    "GPSImgDirection": "GPS Image Direction",
    "GPSImgDirectionRef": "GPS Image Direction Reference",
    "GPSLatitude": "Latitude",
    "GPSLatitudeRef": "North or South Latitude",
    "GPSLongitude": "Longitude",
    "GPSLongitudeRef": "East or West Longitude",
    "GPSMapDatum": "Geodetic Survey Data Used",
    "GPSMeasureMode": "GPS Measurement Mode",
    "GPSProcessingMethod": "Name of GPS Processing Method",
    "GPSSpeed": "Speed of GPS Receiver",
    "GPSSpeedRef": "Speed Unit",
    "GPSStatus": "GPS Receiver Status",
    "GPSTimeStamp": "GPS Time (Atomic Clock)",
    "GPSTrack": "Direction of Movement",
    "GPSTrackRef": "Reference for direction of movement",
    "GPSVersionID": "GPS Tag Version",
    "Make": "Manufacturer",
    "MaxApertureValue": "Maximum Aperture Value",
    "OECF": "Opto-Electronic Conversion Function",
    "OffsetTime": "Offset Time For DateTime",
    "OffsetTimeDigitized": "Offset Time For DateTimeDigitized",
    "OffsetTimeOriginal": "Offset Time For DateTimeOriginal",
    "PrintImageMatching": "PRINT Image Matching",
    "ReferenceBlackWhite": "Reference Black/White",
    "RowsPerStrip": "Rows per Strip",
    "SamplesPerPixel": "Samples per Pixel",
    "ShutterSpeedValue": "Shutter Speed",
    "StripByteCounts": "Strip Byte Count",
    "SubSecTimeDigitized": "Sub-second Time (Digitized)",
    "SubSecTimeOriginal": "Sub-second Time (Original)",
    "SubsecTime": "Sub-second Time",
    "XResolution": "X-Resolution",
    "YCbCrCoefficients": "YCbCr Coefficients",
    "YCbCrPositioning": "YCbCr Positioning",
    "YCbCrSubSampling": "YCbCr Sub-Sampling",
    "YResolution": "Y-Resolution",
}

# The EXIF standard's words for numbers; "" has none. By position, and by number where there are gaps.
_LEVELS = ("Normal", "Soft", "Hard")
_UNITS = ("", "", "Inch", "Centimeter")
_ENUMERATED: dict[str, tuple[str, ...]] = {
    "Orientation": (
        "",
        "Top-left",
        "Top-right",
        "Bottom-right",
        "Bottom-left",
        "Left-top",
        "Right-top",
        "Right-bottom",
        "Left-bottom",
    ),
    "ResolutionUnit": _UNITS,
    "FocalPlaneResolutionUnit": _UNITS,
    "Contrast": _LEVELS,
    "Sharpness": _LEVELS,
    "Saturation": ("Normal", "Low saturation", "High saturation"),
    "CustomRendered": ("Normal process", "Custom process"),
    "ExposureMode": ("Auto exposure", "Manual exposure", "Auto bracket"),
    "ExposureProgram": ("Not defined", "Manual", "Normal program", "Aperture priority", "Shutter priority"),
    "GainControl": ("Normal", "Low gain up", "High gain up", "Low gain down", "High gain down"),
    "MeteringMode": ("Unknown", "Average", "Center-weighted average", "Spot", "Multi spot", "Pattern", "Partial"),
    "PlanarConfiguration": ("", "Chunky format", "Planar format"),
    "SceneCaptureType": ("Standard", "Landscape", "Portrait", "Night scene"),
    "SubjectDistanceRange": ("Unknown", "Macro", "Close view", "Distant view"),
    "WhiteBalance": ("Auto white balance", "Manual white balance"),
    "YCbCrPositioning": ("", "Centered", "Co-sited"),
}
_NUMBERED: dict[str, dict[str, str]] = {
    "ColorSpace": {"1": "sRGB", "2": "Adobe RGB", "65535": "Uncalibrated"},
    "Compression": {"1": "Uncompressed", "5": "LZW compression", "6": "JPEG compression"},
    "Flash": {"0": "Flash did not fire", "1": "Flash fired", "16": "Flash did not fire, compulsory flash mode"},
    "LightSource": {"0": "Unknown", "1": "Daylight", "2": "Fluorescent", "4": "Flash", "10": "Cloudy weather"},
}


def exif_of(image: Any, *, canonical: bool) -> dict[str, str]:
    """The EXIF entries of *image*, by readable or by *canonical* names; of equal names the first directory's counts."""
    entries: dict[str, str] = {}
    for field in sorted(field_names(image)):
        match = _FIELD.match(field)
        if match is not None:
            tag = match[1]
            entries.setdefault(tag if canonical else _readable_name(tag), _readable_value(tag, str(image.get(field))))
    return entries


def _readable_name(tag: str) -> str:
    return _NAMES.get(tag) or _WORDS.sub(" ", tag)


def _readable_value(tag: str, value: str) -> str:
    """libexif's text, or the words for the number, or the number."""
    kind = _KIND.search(value)
    if kind is None:
        return value.strip()
    value_text = value[: kind.start()]
    half = (len(value_text) - 2) // 2
    if value_text[:half] == value_text[half + 2 :]:  # a text stands there twice
        return value_text[:half].strip()
    raw, _, text = value_text.partition(" (")
    if not text.startswith(_WORDLESS):
        return text.strip() or raw.strip()
    words = _ENUMERATED.get(tag, ())
    if raw.isdecimal() and int(raw) < len(words) and words[int(raw)]:
        return words[int(raw)]
    return _NUMBERED.get(tag, {}).get(raw, raw)
