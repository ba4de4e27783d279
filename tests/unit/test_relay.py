import pytest

from bridge.contracts.failures import Unavailable
from bridge.ports import SEND_SECONDS
from bridge.relay import LEASE_SECONDS, Relay
from tests.fakes import FakeEventLog, FakeLedger
from tests.samples import completed


async def _ledger(*runs: str) -> FakeLedger:
    ledger = FakeLedger()
    for run in runs or ("AA/investigate_delays/r1",):
        await ledger.record_completion(completed(run), tenant="AA")
    return ledger


async def test_it_marks_only_what_the_log_has_stored() -> None:
    ledger, log = await _ledger(), FakeEventLog(down=True)
    relay = Relay(ledger, log, holder="one")

    with pytest.raises(Unavailable):
        await relay.once()
    kept = len(ledger.outbox)
    log.down = False
    sent = await relay.once()

    assert (kept, sent, ledger.outbox) == (1, 1, [])
    assert dict(log.records[0].headers)["ce_id"] == b"AA/investigate_delays/r1#completed"


async def test_what_was_stored_though_the_answer_was_lost_is_not_sent_again() -> None:
    """Also when another relay takes over: the first one died before it could mark it."""
    ledger, log = await _ledger(), FakeEventLog(answers_lost=1)

    with pytest.raises(Unavailable):
        await Relay(ledger, log, holder="one").once()
    ledger.leases.clear()
    await Relay(ledger, log, holder="two").once()

    assert len(log.records) == 1
    assert ledger.outbox == []


async def test_it_stands_by_while_another_holds_the_lease() -> None:
    ledger, log = await _ledger(), FakeEventLog()

    first = await Relay(ledger, log, holder="one").once()
    second = await Relay(ledger, log, holder="two").once()

    assert (first, second, len(log.records)) == (1, None, 1)


def test_the_lease_outlasts_a_send() -> None:
    assert LEASE_SECONDS > SEND_SECONDS
