"""The HTTP server of OTLP: its application behind uvicorn."""

from service.otlp.http_app import HttpApp
from service.otlp.intake import Intake
from service.settings import Settings
from service.web import WebServer


class HttpServer(WebServer):
    """Serves the OTLP paths; `body_timeout_s` bounds how long a body may take to arrive."""

    def __init__(self, settings: Settings, intake: Intake, *, body_timeout_s: float = 30.0) -> None:
        self._app = HttpApp(settings, intake, body_timeout_s=body_timeout_s)
        super().__init__(
            self._app, settings, settings.http_port, "OTLP/HTTP", shared=settings.workers > 1
        )

    def close(self) -> None:
        """Stop at once; may be called twice and without `start`."""
        super().close()
        self._app.close()
