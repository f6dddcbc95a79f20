"""EXIF, IPTC and XMP: reading them for /info, and stripping them from renditions."""
