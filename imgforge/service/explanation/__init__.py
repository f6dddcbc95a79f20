"""What a URL does under given settings, and why: `imgforge explain`, and the panel of the playground."""

from imgforge.service.explanation.explaining import explain
from imgforge.service.explanation.original import FetchedOriginal, fetched_original
from imgforge.service.explanation.values import Explanation

__all__ = ["Explanation", "FetchedOriginal", "explain", "fetched_original"]
