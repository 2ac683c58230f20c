// Sends ten spans, one of them failed, by the exporter named in argv[2] to the URL in argv[3].
const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${process.argv[2]}`);

const exporter = new OTLPTraceExporter({ url: process.argv[3], compression: process.argv[4] });
const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
const tracer = provider.getTracer("sender", "1.0");
for (let number = 0; number < 10; number++) {
  const span = tracer.startSpan(`job ${number}`, {
    attributes: { "task.id": `job-${number}`, "task.attempt": 1, ratio: 0.5, tags: ["a", "b"] },
  });
  if (number === 3) span.recordException(new Error("out of paper"));
  span.end();
}
provider.shutdown().then(() => process.exit(0), () => process.exit(1));
