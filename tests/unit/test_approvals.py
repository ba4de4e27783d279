"""Counting answers to a question."""

from typing import Any

import pytest
from pydantic import ValidationError

from agent_workflows.agents.approvals import Tally
from bridge.contracts.approvals import Answer, ApprovalRequest, ApprovalVerdict, Choice
from bridge.contracts.failures import Code, Refused


def _tally(**changes: Any) -> Tally:
    request = {"id": "publish", "question": "Publish?", "subject": {"title": "old"}, "roles": ("editor",)}
    return Tally(ApprovalRequest(**(request | changes)), "AA")


def _answer(choice: str = "approve", by: str = "ada", **changes: Any) -> Answer:
    values = {"approval": "publish", "tenant": "AA", "by": by, "roles": ("editor",), "choice": choice}
    return Answer.model_validate(values | changes)


def _given(tally: Tally, *answers: Answer) -> ApprovalVerdict | None:
    for answer in answers:
        tally.check(answer)
        tally.add(answer)
    return tally.verdict


def test_one_approval_is_enough_where_one_is_needed() -> None:
    assert _given(_tally(), _answer()) is ApprovalVerdict.APPROVED


def test_two_of_three_must_be_different_people() -> None:
    tally = _tally(needed=2)

    assert _given(tally, _answer(by="ada")) is None
    with pytest.raises(Refused, match=r"has approved question .publish. already") as refused:
        tally.check(_answer(by="ada"))
    assert refused.value.code is Code.NOT_ALLOWED
    assert _given(tally, _answer(by="bob")) is ApprovalVerdict.APPROVED


def test_one_rejection_decides_and_its_feedback_is_kept() -> None:
    tally = _tally(needed=2)

    assert _given(tally, _answer(by="ada"), _answer("reject", "bob", feedback="too long")) is ApprovalVerdict.REJECTED
    assert tally.approval(expired=False).feedback == "bob: too long"


def test_an_edit_approves_what_was_edited_and_voids_earlier_approvals() -> None:
    tally = _tally(needed=2)

    assert _given(tally, _answer(by="ada"), _answer("edit", "bob", subject={"title": "new"})) is None
    assert tally.taken().approvals == 1
    assert _given(tally, _answer(by="ada")) is ApprovalVerdict.APPROVED
    assert tally.approval(expired=False).subject == {"title": "new"}


def test_a_redirected_question_is_answered_by_the_other_role_only() -> None:
    tally = _tally()
    assert _given(tally, _answer("redirect", to="lawyer")) is None

    with pytest.raises(Refused, match="is for lawyer; 'ada' has editor"):
        tally.check(_answer())
    assert _given(tally, _answer(by="eve", roles=("lawyer",))) is ApprovalVerdict.APPROVED


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (_answer(tenant="UA"), Code.NOT_ALLOWED, "nobody of 'UA' may answer"),
        (_answer(roles=("reader",)), Code.NOT_ALLOWED, "is for editor; 'ada' has reader"),
        (_answer("cancel"), Code.INVALID_REQUEST, "cannot be answered by 'cancel', but: approve, reject"),
    ],
    ids=["another tenant", "without the role", "a choice not offered"],
)
def test_an_answer_that_may_not_be_given_is_refused_and_changes_nothing(answer: Answer, code: Code, said: str) -> None:
    tally = _tally(choices=(Choice.APPROVE, Choice.REJECT))

    with pytest.raises(Refused, match=said) as refused:
        tally.check(answer)

    assert refused.value.code is code
    assert (tally.verdict, tally.answers) == (None, [])


def test_a_closed_question_takes_no_answer() -> None:
    tally = _tally()
    _given(tally, _answer())

    with pytest.raises(Refused, match="closed: approved") as refused:
        tally.check(_answer(by="bob"))
    assert refused.value.code is Code.APPROVAL_CLOSED


@pytest.mark.parametrize("choice", ["reject", "edit", "redirect"])
def test_a_rejection_an_edit_and_a_redirect_must_say_what_they_mean(choice: str) -> None:
    with pytest.raises(ValidationError):
        _answer(choice)
