from bridge.domain.stall import StallWatch, Verdict


def _watch(steps: list[tuple[float, bool, int, bool]]) -> list[Verdict]:
    watch = StallWatch(limit=60)
    return [
        watch.observe(now=now, behind=behind, moved=moved, engine_waits=waits) for now, behind, moved, waits in steps
    ]


def test_a_consumer_that_is_behind_and_does_not_move_is_stalled_once_per_limit() -> None:
    told = _watch([(0, True, 5, False), (59, True, 5, False), (61, True, 5, False), (100, True, 5, False)])

    assert told == [Verdict.MOVES, Verdict.MOVES, Verdict.STALLED, Verdict.MOVES]


def test_one_that_moves_or_has_nothing_to_do_is_not() -> None:
    told = _watch([(0, True, 5, False), (70, True, 6, False), (140, False, 6, False), (199, True, 6, False)])

    assert set(told) == {Verdict.MOVES}


def test_one_that_waits_for_an_engine_says_so_and_is_left_alone() -> None:
    told = _watch([(0, True, 5, False), (30, True, 5, True), (65, True, 5, False)])

    assert told[-1] is Verdict.WAITS
