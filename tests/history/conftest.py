"""The agent that tests of the recorder use."""

import pytest

from tests.history.agent import Agent


@pytest.fixture
def agent(tmp_path):
    agent = Agent(tmp_path)
    yield agent
    agent.end()
