"""Signed requests: one producer cannot ask for another tenant."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from bridge.adapters.files import read_signing_keys
from bridge.contracts.catalog import AGENTS
from bridge.contracts.envelope import Record
from bridge.contracts.failures import Code, Refused
from bridge.contracts.routes import RoutingTable
from bridge.contracts.signing import sign
from bridge.domain.routing import Routing
from bridge.inbox import Inbox

KEYS = {"AA": ("new-key", "old-key"), "UA": ("united",)}


def _inbox(*, all_sign: bool = False) -> Inbox:
    return Inbox(Routing.of(RoutingTable(), AGENTS), lambda: KEYS, all_sign=all_sign)


def _request(tenant: str = "AA", **headers: str) -> Record:
    body = {"id": "e1", "tenant": tenant, "agent": "canary", "request_id": "r1"}
    return Record(
        topic="agents.request.v1", key=b"k", value=json.dumps(body).encode(),
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )  # fmt: skip


def _code(record: Record, *, all_sign: bool = False) -> Code | None:
    try:
        _inbox(all_sign=all_sign)(record)
    except Refused as error:
        return error.code
    return None


def test_a_signature_by_either_of_the_tenants_keys_is_accepted() -> None:
    assert _code(sign(_request(), "new-key")) is None
    assert _code(sign(_request(), "old-key")) is None


def test_another_tenants_key_does_not_do() -> None:
    assert _code(sign(_request("AA"), "united")) is Code.SIGNATURE_WRONG


def test_an_unsigned_request_of_a_tenant_that_signs_is_refused_and_of_another_is_not() -> None:
    assert _code(_request("AA")) is Code.SIGNATURE_MISSING
    assert _code(_request("DL")) is None
    assert _code(_request("DL"), all_sign=True) is Code.SIGNATURE_MISSING


@pytest.mark.parametrize(
    "changed",
    [
        {"topic": "other.v1"},
        {"key": b"other"},
        {"value": _request("AA").value + b" " if _request("AA").value else b""},
    ],
    ids=["topic", "key", "value"],
)
def test_what_was_changed_after_signing_is_refused(changed: dict[str, object]) -> None:
    record = sign(_request(), "new-key").model_copy(update=changed)

    assert _code(record) is not None


def test_attributes_in_headers_are_covered_too() -> None:
    record = sign(_request(ce_id="e1", ce_tenant="AA", ce_specversion="1.0", ce_type="x"), "new-key")
    forged = record.model_copy(update={"headers": tuple((n, b"e2" if n == "ce_id" else v) for n, v in record.headers)})

    assert _code(record) is None
    assert _code(forged) is Code.SIGNATURE_WRONG


def test_headers_that_others_add_on_the_way_do_not_matter() -> None:
    record = sign(_request(), "new-key")

    assert _code(record.model_copy(update={"headers": (*record.headers, ("trace", b"1"))})) is None


def test_a_sender_can_sign_with_the_standard_library_alone() -> None:
    """As the operations page shows it."""
    record = _request()

    def digest(value: bytes | None) -> str:
        return hashlib.sha256(value or b"").hexdigest()

    lines = ["tandem-v1", record.topic, digest(record.key), digest(record.value)]
    signature = hmac.new(b"new-key", "\n".join(lines).encode(), hashlib.sha256).hexdigest()

    assert sign(record, "new-key").headers == (("tandem_signature", signature.encode()),)


def test_a_file_of_keys_names_its_tenants(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("AA: [one, two]\nUA: [three]\n")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("AA: one-secret\n")

    assert read_signing_keys(file) == {"AA": ("one", "two"), "UA": ("three",)}
    with pytest.raises(Refused) as refused:
        read_signing_keys(wrong)
    assert "one-secret" not in str(refused.value)
