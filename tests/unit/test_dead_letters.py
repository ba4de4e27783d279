import datetime as dt

from bridge.contracts.envelope import Header, Record
from bridge.contracts.failures import Code, Refused
from bridge.domain.dead_letters import dead_letter, newest, read_letter, replay_record

HEADERS: tuple[Header, ...] = (("h", b"\x00\xff"), ("empty", None), ("h", b"twice"))
RECORD = Record(topic="t.v1", key=b"\xff", value=b'{"tenant": "AA", "x":', headers=HEADERS)
AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def _parked(record: Record = RECORD, *, hours: int = 0, offset: int = 7) -> Record:
    error = Refused(Code.MALFORMED, "not JSON")
    return dead_letter(record, error, partition=3, offset=offset, timestamp=5, at=AT + dt.timedelta(hours=hours))


def test_a_letter_keeps_the_record_byte_for_byte_and_says_where_when_why_and_how_often() -> None:
    parked = _parked()
    letter = read_letter(parked)

    assert (parked.topic, parked.key, parked.value) == ("t.v1.dead", RECORD.key, RECORD.value)
    assert parked.headers[:3] == (("h", b"\x00\xff"), ("empty", b""), ("h", b"twice"))  # the client writes no nulls
    assert letter.record == RECORD
    assert (letter.topic, letter.partition, letter.offset, letter.code) == ("t.v1", 3, 7, "malformed")
    assert (letter.reason, letter.owner, letter.times, letter.at) == ("not JSON", "caller", 1, AT.isoformat())


def test_a_tombstone_without_key_is_a_letter_that_can_be_written() -> None:
    tombstone = Record(topic="t.v1", key=None, value=None)

    parked = _parked(tombstone)

    assert parked.value == b""
    assert read_letter(parked).record == tombstone
    assert replay_record(read_letter(parked)).value == b""


def test_the_same_record_parked_twice_is_one_letter() -> None:
    letters = [read_letter(_parked()), read_letter(_parked(hours=1)), read_letter(_parked(offset=8))]

    assert len(newest(letters)) == 2


def test_a_replay_that_fails_again_is_the_same_letter_once_more() -> None:
    first = read_letter(_parked())
    again = read_letter(_parked(replay_record(first), hours=2, offset=99))

    assert (again.id, again.times) == (first.id, 2)
    assert (again.first_at, again.record) == (first.first_at, RECORD)
    assert newest([again, first]) == [again]


def test_the_tenant_is_read_where_it_can_be() -> None:
    told = Record(topic="t.v1", key=None, value=b'{"tenant": "UA"}')
    in_header = Record(topic="t.v1", key=None, value=None, headers=(("ce_tenant", b"DL"),))

    assert [read_letter(_parked(record)).tenant for record in (told, in_header, RECORD)] == ["UA", "DL", ""]


def test_a_record_that_somebody_else_put_on_the_topic_is_a_letter_too() -> None:
    letter = read_letter(Record(topic="t.v1.dead", key=b"k", value=b"v"))

    assert (letter.topic, letter.times, letter.code) == ("t.v1", 1, "")
