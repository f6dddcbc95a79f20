"""`twistd imgforge`. Light, for twistd imports every plugin to list them."""

from twisted.application.service import ServiceMaker

imgforge = ServiceMaker(
    "imgforge", "imgforge.service.twistd_command", "An image-processing reverse proxy for object storage.", "imgforge"
)
