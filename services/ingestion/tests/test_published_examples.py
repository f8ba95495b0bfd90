"""The examples of `contracts/examples` are events that ingestion accepts."""

from typing import get_args

import pytest
from common.events.facts import Kind
from common.events.population import population_type
from ingestion.domain.pushed import Pushed
from ingestion.reading.events import read_event
from shell.settings import repository_root


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_published_example_of_a_pushed_event_is_accepted(people, kind):
    path = repository_root() / "contracts" / "examples" / f"{population_type(kind)}.json"
    event = read_event(path.read_bytes(), people.NOW)
    assert isinstance(event, Pushed), event
    assert (event.kind, event.action, event.source.ranks[kind]) == (kind, "created", 1)
