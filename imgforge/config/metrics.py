"""Settings of metrics: names, and services that they are sent to."""

from imgforge.config.fields import Section, setting

__all__ = ["MetricsSettings"]


class MetricsSettings(Section):
    """Metrics."""

    prometheus_imgproxy_names: bool = setting(
        False,
        description="Have /metrics show imgproxy's metrics as well, by its names and labels, for dashboards and alerts "
        "that were made for it.",
    )
    datadog_enable: bool = setting(
        False,
        description="Send data to the Datadog agent at DD_AGENT_HOST; which, datadog_enable_additional_metrics and "
        "docs/metrics.md say.",
    )
    datadog_enable_additional_metrics: bool = setting(
        False,
        description="Send imgproxy's gauges to the Datadog agent every 10 seconds, by UDP to port DD_DOGSTATSD_PORT; "
        "datadog_enable must be on.",
    )
    datadog_propagate_external: bool = setting(
        False,
        description="Send the headers of Datadog's traces to origins, so that they continue the trace.",
    )
    cloud_watch_service_name: str = setting(
        "",
        max_length=255,
        description="Value of the dimension ServiceName of the metrics that are sent to Amazon CloudWatch every 10 "
        "seconds; empty sends none. It needs `pip install 'twisted-imgforge[cloudwatch]'`.",
    )
    cloud_watch_namespace: str = setting(
        "imgproxy",
        pattern=r"^[0-9A-Za-z.\-_/#:]+$",
        max_length=255,
        description="The namespace in CloudWatch that the metrics are sent to.",
    )
    cloud_watch_region: str = setting(
        "",
        pattern=r"^[a-z0-9-]*$",
        description="The AWS region whose CloudWatch gets the metrics; empty is AWS_REGION or the profile's, else "
        "us-west-1.",
    )

    @property
    def sends_datadog_metrics(self) -> bool:
        """Whether gauges are sent to a Datadog agent."""
        return self.datadog_enable and self.datadog_enable_additional_metrics
