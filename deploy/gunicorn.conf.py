"""gunicorn for the functions: `gunicorn --config deploy/gunicorn.conf.py functions.wsgi:app` in the checkout.

It listens at $PORT. Processes are as many as $WEB_CONCURRENCY says (one without it), each with $THREADS
threads: docs/benchmarks.md has figures. A stream of events holds a thread; half of them stay free.
"""

from functions import settings

threads = settings.threads()
# Longer than a load balancer keeps its connections, so that it is the one to close them.
keepalive = 75
# Streams end by themselves within four minutes; who is still there when a process has to go comes again.
graceful_timeout = 30


def on_starting(server: object) -> None:
    settings.check()
