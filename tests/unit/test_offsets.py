import random

from bridge.domain.offsets import PartitionProgress


def test_nothing_is_committed_past_an_unfinished_record() -> None:
    progress = PartitionProgress()
    for offset in (10, 11, 12):
        progress.take(offset)

    progress.finish(11)
    progress.finish(12)

    assert progress.committable() == 10


def test_a_gap_in_offsets_does_not_hold_the_commit() -> None:
    progress = PartitionProgress()
    progress.take(10)
    progress.take(17)

    progress.finish(10)
    progress.finish(17)

    assert progress.committable() == 18


def test_the_same_position_is_committed_once() -> None:
    progress = PartitionProgress()
    progress.take(3)
    progress.finish(3)

    progress.committed(4)

    assert progress.committable() is None


def test_in_any_order_the_commit_never_overtakes() -> None:
    chance = random.Random(20130416)
    for _ in range(200):
        progress, offsets = PartitionProgress(), sorted(chance.sample(range(1000), 40))
        for offset in offsets:
            progress.take(offset)
        unfinished = set(offsets)
        for offset in chance.sample(offsets, 40):
            progress.finish(offset)
            unfinished.discard(offset)
            assert progress.committable() == (min(unfinished) if unfinished else offsets[-1] + 1)
