"""The API's server: its application behind uvicorn, and the live streams that end first."""

from projections.errors.classify.classifier import Classifier
from service.access.tokens import TokenStore
from service.api.app import Application, create_app
from service.api.system import Metrics, Probe, own_metrics
from service.configuration.settings import Settings
from service.network.web import WebServer
from service.policies.applying import Applying


class ApiServer(WebServer):
    """Serves the API from `start` to `close`."""

    def __init__(
        self,
        settings: Settings,
        tokens: TokenStore,
        *,
        probe: Probe,
        metrics: Metrics = own_metrics,
    ) -> None:
        self._app: Application = create_app(settings, tokens, probe=probe, metrics=metrics)
        super().__init__(self._app, settings, settings.api_port, "API", lifespan="on")

    @property
    def policies(self) -> Applying:
        """The policies that it decides by."""
        return self._app.policies

    def classifier(self) -> Classifier:
        """What classifies errors; made when it is asked for first."""
        return self._app.queries.verdicts.classifier()

    def drain(self, deadline_s: float) -> None:
        """End the live streams, take no new connection, finish what was asked."""
        self.run_in_loop(self._app.end_streams(), deadline_s)
        super().drain(deadline_s)
