"""A small HTTP server for probes: ``/healthz`` (alive), ``/readyz`` (doing its job), ``/metrics``."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Readiness = Callable[[], Mapping[str, bool]]


def serve_probe(host: str, port: int, ready: Readiness) -> ThreadingHTTPServer:
    """Serve on a thread until ``shutdown``. Ready means that every part in ``ready()`` is true."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/healthz":
                    self._answer(200, b'{"status":"alive"}', "application/json")
                case "/readyz":
                    parts = dict(ready())
                    status = 200 if all(parts.values()) else 503
                    self._answer(status, json.dumps(parts).encode(), "application/json")
                case "/metrics":
                    self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
                case _:
                    self._answer(404, b'{"error":"try /healthz, /readyz or /metrics"}', "application/json")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes are not worth a log line."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True, name="probe").start()
    return server
