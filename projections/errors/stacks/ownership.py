"""Which frames are the application's own, and which belong to a library or to the language."""

from functools import lru_cache
from typing import Final

_PATHS: Final = (
    "/site-packages/", "/dist-packages/", "/node_modules/", "/vendor/", "/gems/", "/rubygems/",
    "/go/pkg/mod/", "/go/src/", "/libexec/src/", "/rustc/", "/.cargo/registry/", "/rustlib/",
    "/.rustup/", "/cargo/registry/", "/lib/python", "/lib/ruby/", "/webpack/bootstrap",
    "/usr/share/php", "/dotnet/", "/_/src/", "/.pnpm/", "/jspm_packages/", "/bower_components/",
)  # fmt: skip
_STARTS: Final = (
    "<", "node:", "internal/", "native ", "webpack/", "vendor/", "node_modules/", "library/std/",
    "library/core/", "/_/", "bootstrap_node.js", "events.js", "module.js", "net.js", "fs.js",
    "_stream_", "ext:", "bun:", "deno:",
)  # fmt: skip
_MODULES: Final = (
    "java.", "javax.", "jakarta.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "scala.",
    "akka.", "groovy.", "clojure.", "org.springframework.", "org.apache.", "org.hibernate.",
    "com.fasterxml.", "io.netty.", "io.grpc.", "reactor.", "org.junit.", "okhttp3.", "retrofit2.",
    "com.zaxxer.", "com.mysql.", "org.postgresql.", "com.google.", "org.eclipse.", "org.jboss.",
    "io.vertx.", "io.micrometer.", "io.lettuce.", "redis.clients.", "com.mongodb.", "org.slf4j.",
    "ch.qos.", "org.codehaus.", "org.gradle.", "org.jetbrains.", "io.ktor.", "android.",
    "androidx.", "dalvik.", "com.android.", "feign.", "rx.", "io.reactivex.", "net.bytebuddy.",
    "org.mockito.", "org.aspectj.", "com.netflix.", "software.amazon.", "com.amazonaws.", "okio.",
    "org.elasticsearch.", "co.elastic.", "com.rabbitmq.", "graphql.", "liquibase.", "org.flywaydb.",
    "oracle.", "com.microsoft.", "com.ibm.", "io.quarkus.", "io.smallrye.", "io.micronaut.",
    "org.quartz.", "play.", "cats.", "zio.",
    "System.", "Microsoft.", "Newtonsoft.", "Npgsql.", "MySql.", "Grpc.", "Polly.", "Dapper.",
    "StackExchange.", "RabbitMQ.", "Serilog.", "MassTransit.", "AutoMapper.", "MediatR.", "Mono.",
    "(wrapper", "MongoDB.", "Confluent.",
)  # fmt: skip
_NATIVE: Final = (
    "std::", "core::", "alloc::", "<core::", "<alloc::", "<std::", "tokio::", "futures", "hyper::",
    "<tokio::", "reqwest::", "serde", "anyhow::", "<T as core", "rust_begin_unwind", "__rust",
    "_start", "__libc_start", "main\x00", "clone3", "start_thread", "backtrace::", "actix",
    "rayon", "axum::", "tower::", "sqlx", "<F as core", "___rust_try", "rust_panic",
)  # fmt: skip
_GO: Final = (
    "runtime.", "runtime/", "net/", "net.", "os.", "io.", "syscall.", "reflect.", "sync.", "time.",
    "context.", "encoding/", "database/", "bufio.", "fmt.", "testing.", "internal/", "panic(",
    "google.golang.org/", "golang.org/x/", "crypto/", "strconv.", "strings.", "errors.", "sort.",
)  # fmt: skip


def owns_file(path: str) -> bool:
    """Whether a file is the application's."""
    return _owns_file(path[:400])


@lru_cache(20_000)
def _owns_file(path: str) -> bool:
    path = path.replace("\\", "/")
    return not path.startswith(_STARTS) and not any(part in path for part in _PATHS)


def owns_class(name: str) -> bool:
    """Whether a class of a JVM or of .NET is the application's."""
    return not name.startswith(_MODULES)


def owns_symbol(name: str, path: str) -> bool:
    """Whether a function of Rust is the application's."""
    return not name.startswith(_NATIVE) and (not path or owns_file(path))


def owns_package(function: str, path: str) -> bool:
    """Whether a function of Go is the application's."""
    return not function.startswith(_GO) and owns_file(path)
