"""How the workers of pytest-xdist share the tests out among them: group by group, the longest first.

The tests of a file are a group, so that what they share is made once. A file whose tests share something for
each value of a parameter is a group for each value.
"""

from xdist.scheduler.loadscope import LoadScopeScheduling

#: Files with a group for each value of the first parameter: a swarm, an environment of a Python, sessions at
#: a terminal, which share nothing, or the situations on one testbed.
BY_PARAMETER = {
    "tests/cli/watch/test_command.py",
    "tests/packaging/test_environments.py",
    "tests/real_swarm/test_bad_settings.py",
    "tests/real_swarm/test_demo.py",
    "tests/real_swarm/test_incident.py",
    "tests/real_swarm/test_live_config.py",
    "tests/real_swarm/test_reports.py",
    "tests/scenarios/test_scenarios.py",
}
#: Seconds that the long groups of a file take, on two cores. The exact figures do not matter.
SECONDS = {
    "tests/real_swarm/test_delivery_faults.py": 340,
    "tests/real_swarm/test_reports.py": 140,
    "tests/real_swarm/test_prometheus.py": 90,
    "tests/real_swarm/test_beside_the_reference.py": 75,
    "tests/real_swarm/test_links_on_swarm.py": 190,
    "tests/page/test_in_a_browser.py": 90,
    "tests/real_swarm/test_live_config.py": 60,
    "tests/packaging/test_newcomer.py": 50,
    "tests/cli/watch/test_command.py": 50,
    "tests/swarm/test_install.py": 45,
    "tests/real_swarm/test_library_missing.py": 45,
    "tests/swarm/test_directives.py": 35,
    "tests/packaging/test_environments.py": 35,
    "tests/real_swarm/test_bad_settings.py": 30,
    "tests/real_swarm/test_incident.py": 30,
    "tests/scenarios/test_scenarios.py": 25,
    "tests/real_swarm/test_demo.py": 25,
    "tests/packaging/test_artifacts.py": 25,
    "tests/machines/test_other_processors.py": 45,
    "tests/page/test_bad_files.py": 20,
    "tests/page/test_serving.py": 20,
    "tests/test_a_day.py": 20,
    "tests/export/test_endpoint.py": 20,
    "tests/swarm/test_install_interrupted.py": 20,
    "tests/test_agent.py": 12,
    "tests/cli/test_doctor_export.py": 10,
    "tests/cli/test_failures.py": 8,
    "tests/cli/test_config_file.py": 8,
    "tests/delivery/test_outbox_faults.py": 8,
    "tests/export/test_exporter.py": 6,
}
#: A worker gets its next group when the last test of the one before begins. Behind one as long as this a long
#: group would wait too long.
LONG_S = 200


def group_of(nodeid):
    """The group that a test is in: its file, and the value of the parameter where that matters."""
    path = file_of(nodeid)
    value = nodeid.partition("[")[2].partition("]")[0].partition("-")[0] if path in BY_PARAMETER else ""
    return f"{path} {value}".rstrip()


def seconds_of(nodeid):
    """About how long the test's group takes; 0 for the many short ones."""
    return SECONDS.get(file_of(nodeid), 0)


def file_of(nodeid):
    """The file that a test, or a group, is in."""
    return nodeid.partition("::")[0].partition(" ")[0]


class LongestFirst(LoadScopeScheduling):
    """Hands the groups to the workers in the order in which their tests were collected."""

    def __init__(self, config, log):
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid):
        return group_of(nodeid)

    def _assign_work_unit(self, node):
        waiting = self.assigned_work.get(node, {})
        if any(seconds_of(group) >= LONG_S and not all(tests.values()) for group, tests in waiting.items()):
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
