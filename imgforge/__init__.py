"""imgforge: an image-processing reverse proxy for object storage."""

__all__ = ["__version__"]

__version__ = "0.1.0"
