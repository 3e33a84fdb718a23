"""Names the probable cause of a CRITICAL network report, for the framework's forensic_detective.

From the reports that the detective has buffered in the last two minutes, of all services; of those of
network_health it reads ``details`` and ``metrics``.

Laws: needs nothing but the standard library, and reads nothing but what it is given. No report, however
damaged, stops it. The first finding is all that leaves the swarm: one line that says what is wrong, for
how long, who does it as far as that is known, and what to do. Evidence follows, a line each.
"""

from __future__ import annotations

from .conditions import find_conditions
from .evidence import evidence
from .headline import LONGEST_LINE, headline
from .values import agent, as_list, clean, severity


class Investigator:
    """What forensic_detective makes and asks, once per incident.

    Args:
        agent_ref: the detective; not used.
        service_name: the service whose report was CRITICAL.
        all_events: the ``content`` of the reports buffered, oldest first.
    """

    def __init__(self, agent_ref: object, service_name: str, all_events: object) -> None:
        self.agent = agent_ref
        self.service_name = service_name
        self.events = [event for event in as_list(all_events) if isinstance(event, dict)]

    def add_specific_findings(self, findings: list[str]) -> list[str]:
        """``findings`` with this one's put in front: the cause in one line, then the evidence."""
        own = [event for event in self.events if event.get("service_name") == self.service_name]
        report = next((e for e in reversed(own) if severity(e) == "CRITICAL"), own[-1] if own else None)
        if report is None:
            findings.insert(0, "No network report of the last two minutes is left to judge by.")
            return findings
        history = [event for event in own if agent(event) == agent(report)]
        others = [event for event in self.events if not any(event is known for known in history)]
        found = find_conditions(report)
        lines = [headline(found, report), *evidence(found, report, history, others)]
        findings[:0] = [clean(line, LONGEST_LINE) for line in lines]
        return findings
