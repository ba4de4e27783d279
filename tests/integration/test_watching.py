"""Watching a run from outside: its timeline, its history replayed, and going back to a step."""

import asyncio
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from bridge.adapters import histories
from bridge.contracts.failures import Code, Refused
from tests.agents import agent_runtime, thinker_of
from tests.integration.test_loop import walker
from tests.model_server import serving, turns
from tests.samples import start
from tests.waiting import until
from tests.walk import AGENTS, Steps, WalkWorkflow, spec

pytestmark = pytest.mark.integration


async def test_a_run_reset_to_a_step_asks_the_model_anew_from_there(stack: Any, tmp_path: Path) -> None:
    (tmp_path / "hold-5").touch()
    with serving(walker(7)) as model:
        async with agent_runtime(
            stack.temporal, tmp_path, thinker=thinker_of(model.endpoint()), agents=AGENTS,
            more_workflows=[WalkWorkflow], more_activities=Steps(tmp_path).all,
        ) as runtime:  # fmt: skip
            run = start(uuid.uuid4().hex, agent="walk", input={"steps": 7}, snapshots=())
            client = runtime.agents.client
            await runtime.agents.start(run, spec(runtime.spec.queue))
            await until(lambda: (tmp_path / "taken").exists() and "look 5" in (tmp_path / "taken").read_text())
            before = len(model.asked)
            with pytest.raises(Refused, match="has no step '99-decide'; its steps: 1-decide, 2-look"):
                await histories.reset(client, run.workflow_id, "99-decide", "?")

            await histories.reset(client, run.workflow_id, "5-decide", "think again")
            (tmp_path / "hold-5").unlink()
            completed = await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 60)
            with pytest.raises(Refused) as ended:
                await histories.reset(client, run.workflow_id, "5-decide", "?")

    assert before == 5
    assert [turns(request) for request in model.asked] == [0, 1, 2, 3, 4, 2, 3, 4, 5, 6]
    assert completed.output == {"steps": 7}
    assert ended.value.code is Code.AGENT_CLOSED


async def test_the_timeline_shows_each_call_and_the_saved_history_replays(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        run = start(uuid.uuid4().hex)
        await runtime.completion(run)
        history = await histories.fetch(runtime.agents.client, run.workflow_id)

    moments = await histories.timeline(history)
    file = tmp_path / "history.json"
    file.write_text(history.to_json())
    replayed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "agent_workflows", "replay", str(file), str(tmp_path / "none.json")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (moments[0].what, moments[-1].what) == ("started", "completed")
    calls = [(moment.what, moment.state, moment.attempt) for moment in moments if moment.step]
    assert calls[0] == ("decide: turn 1", "done", 1)
    assert ("tenant_history: days=28", "done", 1) in calls
    assert len(calls) == 3 + 7 + 1
    assert replayed.stdout.splitlines() == [f"{file}: replays"]
    assert "not a history" in replayed.stderr
    assert replayed.returncode == 1
