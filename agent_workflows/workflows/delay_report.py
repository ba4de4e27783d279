"""The ``delay_report`` workflow: find by one model, word by another, and keep only words that hold."""

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from agent_workflows.agents.definition import Caps
    from agent_workflows.agents.delay_report import INSTRUCTIONS, facts, problem_of, verdict
    from agent_workflows.agents.models import Purpose
    from agent_workflows.failures import as_temporal, describe_failure
    from agent_workflows.workflows.children import Child, run_child
    from agent_workflows.workflows.durable import Durable
    from agent_workflows.workflows.plain_agent import PlainAgent
    from agent_workflows.workflows.run import current
    from bridge.contracts.agents import AgentResult, AgentStart
    from bridge.contracts.catalog.delay_report import DELAY_REPORT, DelayReported
    from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS, Finding, InvestigateDelays


@workflow.defn(name=DELAY_REPORT.workflow, versioning_behavior=VersioningBehavior.PINNED)
class DelayReportWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = InvestigateDelays.model_validate(DELAY_REPORT.validate_input(start.input))
            current().phase = "investigating"
            found = await run_child(start, Child(INVESTIGATE_DELAYS, "finding", wanted))
            finding = Finding.model_validate(found.output)
            told = facts(finding)
            worded = await _worded(start, told)
        sentences = [verdict(finding, found.usage.model), *(worded.get(fact, fact) for fact in told)]
        report = DelayReported(
            finding=finding,
            text=" ".join(sentences),
            sentences=len(told),
            worded=len(worded),
            worded_by=current().usage.model if worded else "",
        )
        return current().result(start, report)


async def _worded(start: AgentStart, told: list[str]) -> dict[str, str]:
    """Of each fact the model's sentence, where it may stand. A model that cannot be asked leaves the rest as it is."""
    writer = PlainAgent(Durable(start, caps=Caps(), purpose=Purpose.PHRASE))
    worded: dict[str, str] = {}
    for fact in told:
        asked = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": fact}]
        try:
            said = await writer.chat(asked, [])
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("the report stays as rules put it: %s", describe_failure(error)[1])
            break
        sentence = str(said["content"] or "").strip()
        problem = problem_of(sentence, fact)
        if problem is None:
            worded[fact] = sentence
        else:
            workflow.logger.info("a sentence was refused: %s: %r", problem, sentence)
    return worded
