"""A shop to try ``fulfil_order`` on: stock, payment, shipping, mail. Standard library only, nothing of Tandem imported.

    python infra/demo/shop.py 8095 .tandem/shop.db

POST /reserve /release /charge /refund /ship /recall /notify /email /status with ``{"order": …}``; a call with an
``Idempotency-Key`` that was answered before gets the same answer and does nothing. ``/email`` knows no keys. Undoing
what was never done does nothing. GET /journal lists what was done, in order.

It misbehaves on request: POST /misbehave ``{"path": "charge", "replies": [{"status": 503, "headers": {"Retry-After":
"1"}}, {"lost": true}]}`` answers the next calls of that path so. ``lost`` does the work and cuts the line instead of
answering; ``hold`` waits so many seconds after the work; a status of 400 or more does no work.
"""

import argparse
import contextlib
import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

UNDOES = {"release": "reserve", "refund": "charge", "recall": "ship"}
WORK = {"reserve", "charge", "ship", "notify", "email", "status", *UNDOES}
CLIENT_ERROR = 400


class Shop(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, file: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.misbehaviour: dict[str, list[dict[str, Any]]] = {}
        self.database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self.database.execute("CREATE TABLE IF NOT EXISTS journal (n INTEGER PRIMARY KEY, account, path, task, key)")
        self.database.execute("CREATE TABLE IF NOT EXISTS answers (account, key, answer, PRIMARY KEY (account, key))")

    def work(self, path: str, account: str, order: str, key: str) -> dict[str, Any]:
        """Do it once per key; returns the answer."""
        with self.lock:
            known = self.database.execute("SELECT answer FROM answers WHERE account=? AND key=?", (account, key))
            if path != "email" and key and (row := known.fetchone()):
                return dict(json.loads(row[0]))
            if path in UNDOES and not self._was_done(account, UNDOES[path], order):
                answer = {"reference": "", "nothing": True}
            else:
                done = self.database.execute(
                    "INSERT INTO journal (account, path, task, key) VALUES (?, ?, ?, ?)", (account, path, order, key)
                )
                answer = {"reference": f"{path}-{done.lastrowid}"}
            keep = (account, key, json.dumps(answer))
            self.database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", keep)
            return answer

    def _was_done(self, account: str, path: str, order: str) -> bool:
        found = self.database.execute(
            "SELECT 1 FROM journal WHERE account=? AND path=? AND task=?", (account, path, order)
        )
        return found.fetchone() is not None

    def journal(self) -> list[dict[str, Any]]:
        with self.lock:
            rows = self.database.execute("SELECT account, path, task, key FROM journal ORDER BY n").fetchall()
        return [dict(zip(("account", "path", "order", "key"), row, strict=True)) for row in rows]


class Handler(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        found = self.server.journal() if self.path == "/journal" else {"shop": "open"}
        self.answer(200, found)

    def do_POST(self) -> None:
        path = self.path.strip("/")
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if path == "misbehave":
            with self.server.lock:
                self.server.misbehaviour.setdefault(body["path"], []).extend(body["replies"])
            self.answer(200, {})
            return
        if path not in WORK:
            self.answer(404, {"error": f"there is no {path!r} here"})
            return
        with self.server.lock:
            waiting = self.server.misbehaviour.get(path) or [{}]
            wanted = waiting.pop(0)
        if wanted.get("status", 200) >= CLIENT_ERROR:
            self.answer(wanted["status"], {"error": "as you asked"}, wanted.get("headers", {}))
            return
        account, key = self.headers.get("Shop-Account", ""), self.headers.get("Idempotency-Key", "")
        answer = self.server.work(path, account, str(body.get("order", "")), key)
        threading.Event().wait(wanted.get("hold", 0))
        if wanted.get("lost"):
            self.close_connection = True
            return
        self.answer(200, answer)

    def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        with contextlib.suppress(OSError):  # who asked may have gone
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("file", help="SQLite file of what was done")
    arguments = parser.parse_args()
    Shop(arguments.port, arguments.file).serve_forever()
