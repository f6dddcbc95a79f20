"""A panel of the dashboard, and expressions that panels share.

In an expression `@name` and `@name{labels}` are a metric of the servers that the dashboard shows: the prefix of
IMGFORGE_PROMETHEUS_NAMESPACE and the labels job and instance are added. `[rate]` is Grafana's rate interval.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FETCH", "IMAGES", "ORANGE", "RED", "Panel", "mean", "quantile", "quantiles"]

RED, ORANGE = "red", "orange"
FETCH = "source_image_fetch_duration_seconds"
# Routes of images and of /info; health checks and scrapes have others.
IMAGES = 'path=~".*path}"'


@dataclass(frozen=True)
class Panel:
    """A panel: its *queries* are pairs of an expression and a legend; *alerts* are those that watch what it shows.

    *steps* are pairs of a value and the colour from it on. A stat is 4 of the 24 columns wide, others *width*.
    """

    title: str
    text: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"  # or stat, heatmap, table
    width: int = 8
    steps: tuple[tuple[float, str], ...] = ()
    alerts: tuple[str, ...] = ()
    stacked: bool = False
    most: float | None = None  # the end of the axis


def quantile(quantile: float, name: str, by: str = "", labels: str = "") -> str:
    """The *quantile* of a histogram over all servers, for each value of the label *by*."""
    by = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile}, sum by ({by}) (rate(@{name}_bucket{{{labels}}}[rate])))"


def quantiles(name: str, labels: str = "") -> tuple[tuple[str, str], ...]:
    """Queries of the median, the 95th and the 99th percentile of a histogram."""
    return tuple((quantile(one, name, labels=labels), f"{100 * one:g} %") for one in (0.5, 0.95, 0.99))


def mean(name: str, by: str = "") -> str:
    """The mean of a histogram over all servers, for each value of the label *by*."""
    by = f" by ({by})" if by else ""
    return f"sum{by} (rate(@{name}_sum[rate])) / (sum{by} (rate(@{name}_count[rate])) > 0)"
