"""The ``weekly_report`` workflow: a durable timer that starts one report a week, whatever happens in between."""

import datetime as dt

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows.failures import as_temporal
    from agent_workflows.workflows.children import Child, start_child_once
    from agent_workflows.workflows.run import continue_as_new, current, is_long
    from bridge.contracts.agents import AgentResult, AgentStart, Frozen
    from bridge.contracts.catalog.research_report import RESEARCH_REPORT
    from bridge.contracts.catalog.weekly_report import WEEKLY_REPORT, WeeklyReport, WeeksReported


class Weeks(Frozen):
    """``next`` is the first week that has not had its report, counted from 0."""

    next: int = 0
    reports: int = 0


@workflow.defn(name=WEEKLY_REPORT.workflow, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class WeeklyReportWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = WeeklyReport.model_validate(WEEKLY_REPORT.validate_input(start.input))
        weeks = Weeks.model_validate(start.state)
        while wanted.weeks is None or weeks.next < wanted.weeks:
            began = current().began
            current().phase = f"waiting for week {weeks.next + 1}"
            await workflow.sleep(
                max(began + weeks.next * wanted.every - workflow.now(), dt.timedelta(0)),
                summary="until the next report",
            )
            week = (workflow.now() - began) // wanted.every  # weeks that were slept through are left out
            if wanted.weeks is not None and week >= wanted.weeks:
                break
            new = await start_child_once(start, Child(RESEARCH_REPORT, f"week-{week + 1}", wanted.report))
            weeks = Weeks(next=week + 1, reports=weeks.reports + new)
            if is_long():
                await continue_as_new(start, weeks)
        return current().result(start, WeeksReported(reports=weeks.reports))
