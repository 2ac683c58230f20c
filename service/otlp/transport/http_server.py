"""The HTTP server of OTLP: its application behind uvicorn."""

from service.configuration.settings import Settings
from service.network.web import WebServer
from service.otlp.transport.http_app import HttpApp
from service.otlp.transport.intake import Intake


class HttpServer(WebServer):
    """Serves the OTLP paths; `body_timeout_s` bounds how long a body may take to arrive."""

    def __init__(self, settings: Settings, intake: Intake, *, body_timeout_s: float = 30.0) -> None:
        app = HttpApp(settings, intake, body_timeout_s=body_timeout_s)
        super().__init__(
            app, settings, settings.http_port, "OTLP/HTTP", shared=settings.workers > 1
        )
