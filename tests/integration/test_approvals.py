"""Agents that ask people, on a real Temporal server: answered, refused, expired, with and without a worker."""

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import TimeSkipper

from bridge.adapters.database import Database, approvals, ledger
from bridge.adapters.temporal import TemporalAddress
from bridge.contracts.agents import AgentMessage, AgentStart
from bridge.contracts.approvals import ApprovalVerdict, RunStatus
from bridge.contracts.events import Outcome
from bridge.contracts.failures import Code, Refused
from bridge.contracts.names import STATUS_QUERY
from tests.agents import Runtime, agent_runtime
from tests.publish import PUBLISH, PublishWorkflow
from tests.samples import AA, start

pytestmark = pytest.mark.integration


def _review(name: str = "review", **changes: Any) -> dict[str, Any]:
    return {"id": name, "question": "Publish this?", "roles": ["editor"]} | changes


def _answer(choice: str, question: str = "review-1", by: str = "ada", **changes: Any) -> AgentMessage:
    data = {"approval": question, "tenant": "AA", "by": by, "roles": ["editor"], "choice": choice} | changes
    return AgentMessage(event_id=uuid.uuid4().hex, data=data)


@dataclass
class Asking:
    """A run that asks."""

    runtime: Runtime
    run: AgentStart
    client: Client

    @property
    def handle(self) -> Any:
        return self.client.get_workflow_handle(self.run.workflow_id)

    async def open(self, *questions: str) -> None:
        """Wait until these questions, and no other, are open and stored."""
        async with asyncio.timeout(30):
            while sorted(self.stored("open")) != sorted(questions):
                await asyncio.sleep(0.02)

    def stored(self, state: str) -> list[str]:
        found = self.runtime.database.run(approvals.list_approvals, tenant="AA", everything=True, limit=99)
        return [one["id"] for one in found if one["state"] == state and one["run"] == self.run.workflow_id]

    async def answer(self, message: AgentMessage) -> Any:
        return await self.runtime.agents.answer(self.run.workflow_id, message)

    async def ended(self) -> Any:
        return await asyncio.wait_for(self.runtime.agents.wait(self.run.workflow_id), 30)

    def told(self) -> list[str]:
        rows = self.runtime.database.run(ledger.waiting_events, 99)
        return [row.envelope.type.removeprefix("tandem.agent.").removesuffix(".v1") for row in rows]


def _serving(address: TemporalAddress, folder: Path, queue: str = "") -> Any:
    return agent_runtime(address, folder, more_workflows=[PublishWorkflow], queue=queue)


@asynccontextmanager
async def asking(stack: Any, folder: Path, reviews: Sequence[dict[str, Any]]) -> AsyncIterator[Asking]:
    async with _serving(stack.temporal, folder) as runtime:
        run = start(uuid.uuid4().hex, agent="publish", input={"reviews": list(reviews)}, snapshots=())
        await runtime.agents.start(run, replace(PUBLISH, queue=runtime.spec.queue))
        yield Asking(runtime, run, runtime.agents.client)


async def test_an_approved_run_goes_on_and_each_step_is_told(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review()]) as it:
        await it.open("review-1")
        status = await it.handle.query(STATUS_QUERY, result_type=RunStatus)

        taken = await it.answer(_answer("approve"))
        completed = await it.ended()

        assert status.phase == "waiting for review-1"
        assert [request.id for request in status.pending] == ["review-1"]
        assert taken.verdict is ApprovalVerdict.APPROVED
        assert completed.output == {"rounds": 1, "draft": {"title": "first", "expired": False}}
        assert it.stored("approved") == ["review-1"]
        assert it.told() == ["waiting", "answered", "approval_closed", "accepted", "completed"]


async def test_a_rejection_with_feedback_revises_and_an_edit_is_what_is_published(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review()]) as it:
        await it.open("review-1")
        await it.answer(_answer("reject", feedback="more figures"))
        await it.open("review-2")
        subject = it.runtime.database.run(approvals.find, it.run.workflow_id, "review-2")["request"]["subject"]
        await it.answer(_answer("edit", "review-2", subject={"title": "mine"}))

        completed = await it.ended()

        assert subject == {"title": "revised: ada: more figures"}
        assert completed.output == {"rounds": 2, "draft": {"title": "mine", "expired": False}}


async def test_several_questions_at_once_need_several_people_each(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review("facts", needed=2), _review("law", roles=["lawyer"])]) as it:
        await it.open("facts-1", "law-1")
        first = await it.answer(_answer("approve", "facts-1"))
        await it.answer(_answer("approve", "law-1", by="eve", roles=["lawyer"]))
        await it.open("facts-1")
        second = await it.answer(_answer("approve", "facts-1", by="bob"))

        completed = await it.ended()

        assert (first.approvals, first.needed, first.verdict) == (1, 2, None)
        assert second.verdict is ApprovalVerdict.APPROVED
        assert completed.outcome is Outcome.COMPLETED


async def test_who_may_not_answer_is_refused_and_history_shows_nothing_of_it(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review()]) as it:
        await it.open("review-1")
        before = len((await it.handle.fetch_history()).events)
        codes = []
        for wrong in (
            _answer("approve", tenant="UA"),
            _answer("approve", roles=["reader"]),
            _answer("approve", "review-9"),
            _answer("reject"),
        ):
            with pytest.raises(Refused) as refused:
                await it.answer(wrong)
            codes.append(refused.value.code)
        after = [event.event_type for event in (await it.handle.fetch_history()).events[before:]]
        await it.answer(_answer("approve"))
        await it.ended()
        with pytest.raises(Refused) as closed:
            await it.answer(_answer("approve", by="bob"))

    assert codes == [Code.NOT_ALLOWED, Code.NOT_ALLOWED, Code.APPROVAL_CLOSED, Code.INVALID_REQUEST]
    assert 41 not in after  # EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    assert closed.value.code is Code.AGENT_CLOSED


async def test_a_person_can_stop_the_run(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review()]) as it:
        await it.open("review-1")
        await it.answer(_answer("cancel", feedback="wrong topic"))

        completed = await it.ended()

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "rejected")


@pytest.mark.parametrize("on_expiry", ["rejected", "approved"])
async def test_an_unanswered_question_expires_after_48_hours(stack: Any, tmp_path: Path, on_expiry: str) -> None:
    async with asking(stack, tmp_path, [_review(on_expiry=on_expiry)]) as it:
        await it.open("review-1")
        began = (await it.handle.describe()).start_time
        skipper = TimeSkipper(it.client)
        await skipper.fast_forward(it.handle, dt.timedelta(hours=47))
        still_open = it.stored("open")
        await skipper.fast_forward(it.handle, dt.timedelta(hours=2))

        completed = await it.ended()

        assert still_open == ["review-1"]
        assert completed.output["draft"]["expired"] is True
        assert it.stored(f"{on_expiry} (expired)") == ["review-1"]
        assert completed.closed_at - began > dt.timedelta(hours=48)


async def test_a_question_that_would_outlive_its_run_is_refused_at_once(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review(expires_after="P15D")]) as it:
        completed = await it.ended()

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "invalid_request")
    assert "execution_timeout" in completed.reason


async def test_an_answer_given_while_no_worker_runs_is_taken_when_one_does(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review()]) as it:
        await it.open("review-1")
        queue = it.runtime.spec.queue
    agents = it.runtime.agents

    message = _answer("approve")
    told = [await agents.answer(it.run.workflow_id, message) for _ in range(2)]
    async with _serving(stack.temporal, tmp_path, queue) as runtime:
        completed = await asyncio.wait_for(agents.wait(it.run.workflow_id), 30)
        row = runtime.database.run(approvals.find, it.run.workflow_id, "review-1")

    assert told == [None, None]
    assert completed.outcome is Outcome.COMPLETED
    assert [(answer["by"], answer["accepted"]) for answer in row["answers"]] == [("ada", True)]


async def test_a_late_answer_that_is_refused_becomes_an_event(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review()]) as it:
        await it.open("review-1")
        await it.handle.signal("answer", _answer("approve", roles=["reader"]))
        async with asyncio.timeout(30):
            while not (answers := it.runtime.database.run(approvals.find, it.run.workflow_id, "review-1")["answers"]):
                await asyncio.sleep(0.02)
        await it.answer(_answer("approve"))
        await it.ended()

    assert answers[0]["accepted"] is False
    assert "is for editor; 'ada' has reader" in answers[0]["reason"]


async def test_a_cancelled_run_leaves_no_question_open(stack: Any, tmp_path: Path) -> None:
    async with asking(stack, tmp_path, [_review()]) as it:
        await it.open("review-1")
        await it.runtime.agents.cancel(it.run.workflow_id)

        completed = await it.ended()

        assert completed.outcome is Outcome.CANCELLED
        assert it.stored("ended") == ["review-1"]


def _tandem(database: Database, address: TemporalAddress, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TANDEM_DATABASE_URL": database.url, "TANDEM_TEMPORAL_ADDRESS": address.target}
    command = [str(Path(sys.executable).with_name("tandem")), "approvals", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_the_command_lists_and_answers(stack: Any, tmp_path: Path) -> None:
    editor = AA.model_copy(update={"people": {"ada": ("editor",), "rob": ("reader",)}})
    async with asking(stack, tmp_path, [_review()]) as it:
        database = it.runtime.database
        database.run(ledger.apply_tenants, [editor])
        await it.open("review-1")

        async def tandem(*words: str) -> subprocess.CompletedProcess[str]:
            return await asyncio.to_thread(_tandem, database, stack.temporal, *words)

        run = it.run.workflow_id
        listed = json.loads((await tandem("list", "--json")).stdout)
        stranger = await tandem("answer", run, "review-1", "approve", "--by", "eve")
        reader = await tandem("answer", run, "review-1", "approve", "--by", "rob")
        answered = await tandem("answer", run, "review-1", "approve", "--by", "ada")
        await it.ended()
        after = await tandem("list")

    assert (listed["run"], listed["id"], listed["state"]) == (run, "review-1", "open")
    assert "declares no person 'eve'" in stranger.stderr
    assert "is for editor; 'rob' has reader" in reader.stderr
    assert (answered.returncode, answered.stdout.strip()) == (0, "taken: approved")
    assert "0 questions." in after.stdout
