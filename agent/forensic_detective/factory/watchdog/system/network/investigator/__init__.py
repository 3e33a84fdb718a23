"""Names the probable cause of a CRITICAL network report, for the framework's forensic_detective.

It uses the reports of all services that the detective received in the last two minutes; of the reports of
network_health it reads ``details`` and ``metrics``. The last line has the command that shows what was before.

Guarantees: only the standard library is imported. Nothing but the given reports is read; of the agent's
history only the name is looked up. What another program has put in the place of the incident file is removed
before the framework writes it. No damaged report raises an error. The first finding, the only one that leaves
the swarm, is one line: what is wrong, for how long, the culprit if it is known, and what to do. The evidence
follows, one line each.
"""

from __future__ import annotations

from typing import Any

from .conditions import find_conditions
from .evidence import evidence
from .headline import MAX_LINE, headline
from .kept_history import command
from .summary_folder import clear
from .values import agent, as_list, clean, severity


class Investigator:
    """The class that forensic_detective creates for each incident.

    Args:
        agent_ref: the detective; its ``summary_path``, ``log`` and ``path_resolution`` are used.
        service_name: the service whose report was CRITICAL.
        all_events: the ``content`` of the buffered reports, oldest first.
    """

    def __init__(self, agent_ref: Any, service_name: str, all_events: object) -> None:
        self.agent = agent_ref
        self.service_name = service_name
        self.events = [event for event in as_list(all_events) if isinstance(event, dict)]

    def add_specific_findings(self, findings: list[str]) -> list[str]:
        """``findings``, with those of this investigator at the front: the cause, then the evidence."""
        if hasattr(self.agent, "summary_path"):
            clear(self.agent.summary_path, self.agent.log)
        own = [event for event in self.events if event.get("service_name") == self.service_name]
        report = next((e for e in reversed(own) if severity(e) == "CRITICAL"), own[-1] if own else None)
        if report is None:
            findings.insert(0, "No network report was received in the last two minutes.")
            return findings
        history = [event for event in own if agent(event) == agent(report)]
        others = [event for event in self.events if not any(event is known for known in history)]
        found = find_conditions(report)
        lines = [headline(found, report), *evidence(found, report, history, others)]
        paths = getattr(self.agent, "path_resolution", None)
        nodes = paths.get("comm_path") if isinstance(paths, dict) else None
        findings[:0] = [*(clean(line, MAX_LINE) for line in lines), command(report, nodes)]
        return findings
