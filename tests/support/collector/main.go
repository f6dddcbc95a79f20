// The OpenTelemetry Collector's OTLP receiver: it prints what it is sent, a line of JSON for each request.
package main

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	meternoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func show(line []byte, err error) error {
	if err == nil {
		_, err = fmt.Println(string(line))
	}
	return err
}

// Arguments: the port for gRPC, and the one for HTTP.
func main() {
	ctx := context.Background()
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	endpoints := map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": "127.0.0.1:" + os.Args[1]},
		"http": map[string]any{"endpoint": "127.0.0.1:" + os.Args[2]},
	}}
	must(0, confmap.NewFromStringMap(endpoints).Unmarshal(config))
	settings := receiver.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger:         zap.NewNop(),
			TracerProvider: noop.NewTracerProvider(),
			MeterProvider:  meternoop.NewMeterProvider(),
		},
	}
	traces := must(consumer.NewTraces(func(_ context.Context, sent ptrace.Traces) error {
		return show((&ptrace.JSONMarshaler{}).MarshalTraces(sent))
	}))
	metrics := must(consumer.NewMetrics(func(_ context.Context, sent pmetric.Metrics) error {
		return show((&pmetric.JSONMarshaler{}).MarshalMetrics(sent))
	}))
	logs := must(consumer.NewLogs(func(_ context.Context, sent plog.Logs) error {
		return show((&plog.JSONMarshaler{}).MarshalLogs(sent))
	}))
	// All three are the same receiver: it starts once.
	started := must(factory.CreateTraces(ctx, settings, config, traces))
	must(factory.CreateMetrics(ctx, settings, config, metrics))
	must(factory.CreateLogs(ctx, settings, config, logs))
	must(0, started.Start(ctx, host{}))
	select {}
}

type host struct{}

func (host) GetExtensions() map[component.ID]component.Component { return nil }
