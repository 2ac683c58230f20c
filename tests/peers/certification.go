// Runs Jaeger's storage certification suite against a Spanledger that runs already.
//
// It is laid over the package of the suite in Jaeger's published module: what it needs is internal
// to that module. Each test has a tenant of its own, because a ledger cannot be emptied.
package integration

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/exporter/exporterhelper"

	"github.com/jaegertracing/jaeger/internal/storage/v2/grpc"
	"github.com/jaegertracing/jaeger/internal/telemetry"
)

func TestSpanledger(t *testing.T) {
	SkipUnlessEnv(t, "spanledger")
	suite := &StorageIntegration{}
	var factory *grpc.Factory
	tenants := 0
	suite.CleanUp = func(t *testing.T) {
		if factory != nil {
			require.NoError(t, factory.Close())
		}
		tenants++
		factory = connect(t, fmt.Sprintf("suite-%d", tenants))
		var err error
		suite.TraceReader, err = factory.CreateTraceReader()
		require.NoError(t, err)
		suite.TraceWriter, err = factory.CreateTraceWriter()
		require.NoError(t, err)
	}
	suite.CleanUp(t)
	defer func() { require.NoError(t, factory.Close()) }()
	suite.RunSpanStoreTests(t)
}

func connect(t *testing.T, tenant string) *grpc.Factory {
	to := func(variable string) configgrpc.ClientConfig {
		return configgrpc.ClientConfig{
			Endpoint: os.Getenv(variable),
			TLS:      configtls.ClientConfig{Insecure: true},
			Headers:  headers(tenant),
		}
	}
	config := grpc.Config{
		ClientConfig:  to("REMOTE_STORAGE_ENDPOINT"),
		Writer:        to("REMOTE_STORAGE_WRITER_ENDPOINT"),
		TimeoutConfig: exporterhelper.TimeoutConfig{Timeout: time.Minute},
	}
	factory, err := grpc.NewFactory(context.Background(), config, telemetry.NoopSettings())
	require.NoError(t, err)
	return factory
}

func headers(tenant string) configopaque.MapList {
	return configopaque.MapList{{Name: "x-scope-orgid", Value: configopaque.String(tenant)}}
}
