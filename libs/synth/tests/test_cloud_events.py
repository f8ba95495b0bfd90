"""The offices of the synthetic sources."""

from common.events.kinds import KINDS
from synth.cloud_events import OFFICES, OTHER_OFFICES


def test_an_office_states_every_kind_but_deaths_and_changed_identities() -> None:
    """Several offices state deaths. No synthetic person changes the ID number."""
    assert {*OFFICES, *OTHER_OFFICES} == {*KINDS} - {"death", "identity_change"}
