"""The description of all topics, as a reader of `contracts/asyncapi.yaml` sees it."""

from common.events import all_events
from shouwang.contracts.asyncapi import document


def test_the_summary_of_every_event_is_a_whole_sentence_of_its_description() -> None:
    messages = document()["components"]["messages"]
    for name, cls in {cls.__name__: cls for cls in all_events().values()}.items():
        summary = messages[name]["summary"]
        if cls.__doc__:
            assert summary.endswith("."), summary
            assert " ".join(cls.__doc__.split()).startswith(summary)
        else:
            assert summary == name
