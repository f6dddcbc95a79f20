"""Whole renditions against what the documented rules say, computed here without libvips: numpy, Pillow, fractions."""
