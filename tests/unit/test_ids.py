import re

from pydantic import TypeAdapter

from bridge.contracts.ids import MAX_AIRFLOW_KEY, RequestId, batch_id, child_request_id, dag_run_id

AIRFLOW_ALLOWS = re.compile(r"^[A-Za-z0-9_.~:+-]+$")
"""``[scheduler] allowed_run_id_pattern`` of Airflow 3.3."""


def test_a_dag_run_id_has_only_letters_that_airflow_allows_and_is_never_shared() -> None:
    events = ["AA/a/r1#completed", "AA/a/r=1#completed", "AA/a/r+3D1#completed", "AA/a/r@1#completed", "A~A/a/r1"]

    made = [dag_run_id(event) for event in events]

    assert all(AIRFLOW_ALLOWS.match(name) for name in made)
    assert len(set(made)) == len(events)
    assert made[0] == "AA~a~r1+23completed"


def test_long_ids_stay_within_what_airflow_stores_and_apart() -> None:
    long = [f"{'T' * 32}/{'a' * 64}/{'r' * 199}{last}#completed" for last in "12"]

    made = [dag_run_id(event) for event in long]

    assert {len(name) for name in made} == {MAX_AIRFLOW_KEY}
    assert made[0] != made[1]


def test_a_batch_is_named_by_what_it_holds() -> None:
    assert batch_id("d", ["a", "b"]) == batch_id("d", ["b", "a"])
    assert len({batch_id("d", ["a", "b"]), batch_id("e", ["a", "b"]), batch_id("d", ["a"])}) == 3


def test_the_request_id_of_a_child_is_valid_and_its_own_however_long_its_parents_is() -> None:
    long = "r" * 200
    ids = [child_request_id(long, f"read-{n}", "0199-aaaa") for n in range(3)]

    assert child_request_id("r1", "week-2") == "r1.week-2"
    assert child_request_id("r1", "plan-1", "01a1ff01-a3bf-736e-863c-d465e3196ffd") == "r1.plan-1.d465e3196ffd"
    assert len(set(ids)) == 3
    for one in ids:
        TypeAdapter(RequestId).validate_python(one)
