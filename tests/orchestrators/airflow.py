"""Airflow's `standalone` command, which runs all of its parts on one machine."""

import http
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.orchestrators.play import PROGRAMS
from tests.ports import free_port

STANDALONE: Final = ("-m", "airflow", "standalone")
ANSWER_S: Final = 120.0
"""How long the first answer of its API may take, which imports much."""
_FAULTS: Final = http.HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(frozen=True)
class Airflow:
    """A set-up of Airflow whose files are in `home`, and whose API will listen on `port`."""

    home: Path
    port: int

    def variables(self) -> dict[str, str]:
        """The settings, with telemetry on as its documentation says, over OTLP/HTTP."""
        options = {
            "API__HOST": "127.0.0.1",
            "API__PORT": self.port,
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
            "CORE__DAGS_FOLDER": PROGRAMS,
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "CORE__LOAD_EXAMPLES": False,
            "CORE__PARALLELISM": 3,
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "LOGGING__TRIGGER_LOG_SERVER_PORT": free_port(),
            "LOGGING__WORKER_LOG_SERVER_PORT": free_port(),
            "TRACES__OTEL_ON": True,
            "USAGE_DATA_COLLECTION__ENABLED": False,
            "WORKERS__EXECUTION_API_TIMEOUT": ANSWER_S,
        }
        settings = {f"AIRFLOW__{name}": str(value) for name, value in options.items()}
        return settings | {
            "AIRFLOW_HOME": str(self.home),
            "HOME": str(self.home),
            "NO_PROXY": "*",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        }

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any]) -> bool:
        """Start a DAG run; False while it is not known yet, or nobody answers, or its SQLite is
        locked, as it may be while all parts begin."""
        try:
            token = self._ask("/auth/token")["access_token"]
            body = {"dag_run_id": run, "logical_date": None, "conf": conf}
            self._ask(f"/api/v2/dags/{dag}/dagRuns", body, Authorization=f"Bearer {token}")
        except urllib.error.HTTPError as exc:
            if exc.code == http.HTTPStatus.CONFLICT:
                return True  # it was, and the answer came too late
            if exc.code == http.HTTPStatus.NOT_FOUND or exc.code >= _FAULTS:
                return False
            raise
        except OSError:
            return False
        return True

    def _ask(self, path: str, body: object = None, **headers: str) -> dict[str, Any]:
        """The answer to a GET, or to a POST if there is a body."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=ANSWER_S) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
