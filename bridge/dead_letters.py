"""Dead letters as a person works with them: found on their topics, sent again, or given up.

The letters stay on Kafka; what was decided about each is in the platform database. A letter that was sent again
and failed again is the same letter, parked once more, and waits for a decision again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.adapters.database import Database, ledger
from bridge.adapters.kafka import KafkaAddress, KafkaEventLog, list_topics, read_all
from bridge.contracts.failures import Code, Refused
from bridge.contracts.names import DEAD_SUFFIX
from bridge.domain.dead_letters import DeadLetter, newest, read_letter, replay_record

WAITING: Final = "waiting"
REPLAYED: Final = "replayed"
DISCARDED: Final = "discarded"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters. ``topic`` is where they came from; "" means any."""

    topic: str = ""
    tenant: str = ""
    code: str = ""
    decided_too: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    letter: DeadLetter
    state: str


def find(address: KafkaAddress, database: Database, wanted: Wanted) -> list[Found]:
    """The letters of all dead-letter topics, each once, the oldest first. Raises ``Unavailable``."""
    topics = [topic for topic in list_topics(address) if topic.endswith(DEAD_SUFFIX)]
    if wanted.topic:
        topics = [topic for topic in topics if topic in {wanted.topic, wanted.topic + DEAD_SUFFIX}]
    letters = [read_letter(record) for topic in topics for record in read_all(address, topic)]
    decisions = database.run(ledger.dead_letter_decisions)
    found = [Found(letter, decisions.get((letter.id, letter.times), WAITING)) for letter in newest(letters)]
    return [one for one in found if _is_wanted(one, wanted)]


def pick(found: Sequence[Found], ids: Sequence[str]) -> list[Found]:
    """Those with these ids; raises ``Refused`` that names the ones that are not there."""
    by_id = {one.letter.id: one for one in found}
    missing = sorted(set(ids) - set(by_id))
    if missing:
        problem = f"there is no dead letter {', '.join(missing)}; see tandem dead list --all"
        raise Refused(Code.INVALID_REQUEST, problem)
    return [by_id[name] for name in dict.fromkeys(ids)]


async def replay(one: Found, events: KafkaEventLog, database: Database) -> bool:
    """Send the record to its topic again; False if that was done already and it has not come back.

    Safe to repeat: sent twice, a request still makes one run.
    """
    if one.state == REPLAYED:
        return False
    await events.send([replay_record(one.letter)])
    await database.arun(ledger.decide_dead_letter, one.letter.id, times=one.letter.times, decision=REPLAYED)
    return True


async def discard(one: Found, database: Database) -> bool:
    """Give a letter up; False if it was decided already."""
    if one.state != WAITING:
        return False
    await database.arun(ledger.decide_dead_letter, one.letter.id, times=one.letter.times, decision=DISCARDED)
    return True


def _is_wanted(one: Found, wanted: Wanted) -> bool:
    letter = one.letter
    return (
        (wanted.decided_too or one.state == WAITING)
        and wanted.tenant in {"", letter.tenant}
        and wanted.code in {"", letter.code}
    )
