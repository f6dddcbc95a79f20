"""Settings of traces, metrics and logs over OpenTelemetry, and of New Relic, which takes the same protocol."""

from typing import Annotated, Any, Literal

from imgforge.config.fields import Reads, Section, setting

__all__ = ["OpenTelemetrySettings"]

_LONGEST_LABEL = 255  # characters of a name or a value that New Relic keeps


def _labels(value: Any) -> dict[str, str]:
    """`name=value;name=value`, or a table, as a dict."""
    if isinstance(value, str):
        parts = (part.partition("=") for part in value.split(";") if part.strip())
        labels = {name.strip(): text.strip() if equals else None for name, equals, text in parts}
    else:
        labels = dict(value) if isinstance(value, dict) else {"": None}
    for name, text in labels.items():
        if not (isinstance(text, str) and name and name.isprintable() and text.isprintable()):
            raise ValueError("must be labels name=value with ; between them")
        if max(len(name), len(text)) > _LONGEST_LABEL:
            raise ValueError(f"must have names and values of at most {_LONGEST_LABEL} characters")
    return labels  # type: ignore[return-value]  # None was refused above


Labels = Annotated[
    dict[str, str],
    Reads(
        _labels,
        schema={"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]},
    ),
]


class OpenTelemetrySettings(Section):
    """OpenTelemetry and New Relic."""

    open_telemetry_enable: bool = setting(
        False,
        description="Send a trace of each sampled request to an OpenTelemetry collector; the OTEL_* variables say "
        "where to, how and how many; pip install 'twisted-imgforge[otel]'.",
    )
    open_telemetry_enable_metrics: bool = setting(
        False, description="Send metrics to the collector too, where open_telemetry_enable is on."
    )
    open_telemetry_enable_logs: bool = setting(
        False, description="Send the application log to the collector too, where open_telemetry_enable is on."
    )
    open_telemetry_logger_name: str = setting(
        "imgforge", description="Name of the instrumentation scope of the log's records in OpenTelemetry."
    )
    open_telemetry_trace_id_generator: Literal["xray", "random"] = setting(
        "xray",
        description="What the ids of new traces look like: xray begins them with the time, which AWS X-Ray needs and "
        "others take as well; random does not.",
    )
    open_telemetry_propagate_external: bool = setting(
        False,
        description="Send the context of the trace (traceparent, or what OTEL_PROPAGATORS names) to the web origins "
        "that originals are fetched from.",
    )
    open_telemetry_server_cert: str = setting(
        "",
        description=r"PEM of the certificate that the collector's is checked by, \n for line breaks; empty is "
        "OTEL_EXPORTER_OTLP_CERTIFICATE or the system's certificates.",
    )
    open_telemetry_client_cert: str = setting(
        "", description=r"PEM of the certificate that the collector checks this server by, \n for line breaks."
    )
    open_telemetry_client_key: str = setting(
        "", description=r"PEM of the private key of open_telemetry_client_cert, \n for line breaks."
    )
    new_relic_key: str = setting(
        "",
        description="License key of New Relic, to which traces then go over OTLP; pip install "
        "'twisted-imgforge[otel]'.",
    )
    new_relic_app_name: str = setting(
        "imgforge", description="Name of the application in New Relic, where OTEL_SERVICE_NAME is not set."
    )
    new_relic_labels: Labels = setting(
        {}, description="Labels of the application in New Relic: name=value, with ; between them."
    )
    new_relic_propagate_external: bool = setting(
        False, description="Send the context of the trace to web origins, as open_telemetry_propagate_external does."
    )
