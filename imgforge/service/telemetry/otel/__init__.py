"""OpenTelemetry: traces, metrics and logs over OTLP; and traces for Datadog and New Relic, which take OTLP too."""

__all__: list[str] = []
