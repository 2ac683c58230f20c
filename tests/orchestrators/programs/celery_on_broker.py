"""A Celery application on the broker that `BROKER` names: Redis, or folders in the current one."""

import os
from typing import Any

from celery import Celery


def make_app(name: str, **options: Any) -> Celery:
    """The application; `options` are further ones of `Celery`."""
    app = Celery(name, broker=os.environ["BROKER"], **options)
    app.conf.broker_connection_retry_on_startup = True
    app.conf.worker_hijack_root_logger = False
    if app.conf.broker_url.startswith("filesystem:"):
        app.conf.broker_transport_options = {
            "data_folder_in": "queue",
            "data_folder_out": "queue",
            "control_folder": "control",
        }
    return app
