"""RQ's own worker, that forks for each job, instrumented before it starts."""

import rq_shop  # sets telemetry up
from rq import Worker

if __name__ == "__main__":
    Worker([rq_shop.queue], connection=rq_shop.queue.connection).work(with_scheduler=True)
