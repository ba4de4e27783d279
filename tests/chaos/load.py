"""The load: seeded requests of many tenants and keys, some malformed, some sent again, in every accepted form."""

import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer

from bridge.contracts.names import REQUESTS_TOPIC

MALFORMED = 0.02
REPEATED = 0.05
KEYS_PER_TENANT = 4
Made = tuple[bytes, bytes, list[tuple[str, bytes]]]


@dataclass(frozen=True)
class Request:
    """One record. ``run`` is the workflow id it asks for, "" if it is malformed; ``place`` its place among the first
    requests of its key."""

    key: str
    run: str
    place: int
    record: Made


def tenants(count: int) -> list[str]:
    return [f"T{number:03}" for number in range(count)]


def make_load(seed: int, *, requests: int, tenants: list[str]) -> list[Request]:
    """The same for the same seed. Exactly ``MALFORMED`` and ``REPEATED`` of the records are so."""
    chance = random.Random(seed)
    keys = [f"{tenant}/k{number}" for tenant in tenants for number in range(KEYS_PER_TENANT)]
    places = dict.fromkeys(keys, 0)
    kinds = ["bad"] * round(requests * MALFORMED) + ["again"] * round(requests * REPEATED)
    kinds += ["new"] * (requests - len(kinds) - 1)
    chance.shuffle(kinds)
    load: list[Request] = []
    first: list[Request] = []
    for number, kind in enumerate(["new", *kinds]):  # the first can repeat nothing
        if kind == "bad":
            load.append(Request("", "", -1, _malformed(chance, number, chance.choice(tenants))))
        elif kind == "again":
            load.append(chance.choice(first))
        else:
            key = chance.choice(keys)
            tenant = key.split("/")[0]
            record = _record(chance, f"r{number}", tenant, key)
            first.append(Request(key, f"{tenant}/canary/r{number}", places[key], record))
            places[key] += 1
            load.append(first[-1])
    return load


def _record(chance: random.Random, request_id: str, tenant: str, key: str) -> Made:
    data = {"agent": "canary", "request_id": request_id, "input": {}}
    event = {"id": f"{tenant}-{request_id}", "type": "tandem.agent.requested.v1", "source": "/load", "tenant": tenant}
    match chance.choice(["plain", "structured", "binary"]):
        case "plain":
            return key.encode(), json.dumps({"id": event["id"], "tenant": tenant} | data).encode(), []
        case "structured":
            body = {"specversion": "1.0"} | event | {"data": data}
            return key.encode(), json.dumps(body).encode(), [("content-type", b"application/cloudevents+json")]
        case _:
            attributes = {"specversion": "1.0"} | event
            headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
            return key.encode(), json.dumps(data).encode(), headers


def _malformed(chance: random.Random, number: int, tenant: str) -> Made:
    good: dict[str, Any] = {
        "id": f"bad-{number}", "tenant": tenant, "agent": "canary", "request_id": f"bad-{number}", "input": {}
    }  # fmt: skip
    bad: list[tuple[bytes, bytes]] = [
        (b"k", b"{not json"),
        (b"k", json.dumps(good | {"tenant": "nobody"}).encode()),
        (b"k", json.dumps(good | {"agent": "make_coffee"}).encode()),
        (b"k", json.dumps(good | {"request_id": "../x"}).encode()),
        (b"k", json.dumps({name: value for name, value in good.items() if name != "agent"}).encode()),
        (b"\xff\xfe", json.dumps(good).encode()),
        (b"k", json.dumps(good | {"input": {"unknown": 1}}).encode()),
    ]
    key, value = chance.choice(bad)
    return key, value, [("number", str(number).encode())]


class Sender(threading.Thread):
    """Sends the load at an even pace and waits until the broker has stored all of it, whatever happens to it."""

    def __init__(self, bootstrap: str, load: list[Request], *, seconds: float) -> None:
        super().__init__(name="sender", daemon=True)
        self._servers = bootstrap
        self._load = load
        self._pause = seconds / len(load)
        self.sent = 0
        self.stored = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._send()
        except BaseException as error:  # noqa: BLE001 - told by the bench
            self.error = error

    def _send(self) -> None:
        producer = KafkaProducer(
            bootstrap_servers=self._servers, acks="all", enable_idempotence=True, delivery_timeout_ms=900_000,
            max_block_ms=300_000, allow_auto_create_topics=False,
        )  # fmt: skip
        clock = threading.Event()
        futures = []
        for request in self._load:
            key, value, headers = request.record
            futures.append(producer.send(REQUESTS_TOPIC, key=key, value=value, headers=headers))
            self.sent += 1
            clock.wait(self._pause)
        for future in futures:
            future.get(timeout=900)
            self.stored += 1
        producer.close()


def first_per_key(load: list[Request]) -> dict[str, list[str]]:
    """``{key: runs in the order they were first asked for}``."""
    found: dict[str, list[str]] = {}
    for request in load:
        if request.run and request.run not in found.setdefault(request.key, []):
            found[request.key].append(request.run)
    return found


Say = Callable[[str], None]
