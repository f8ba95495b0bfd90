"""Synthetic counties with known truth, for tests, demonstrations and measurements.

    made = synth.county(seed=7, people=2000, divisions=["530302", "141125"], today=date(2026, 5, 1))
    load = made.initial_load()                      # CloudEvents as dicts
    pushes = synth.stream(made, months=6, seed=7)   # deliveries, with faults
    truth = made.truth(made.today)                  # when both are delivered

Nobody in it exists. `stream` runs on from the county's day: choose `today` so many months back that no
event is recorded after the platform's clock (the last are told up to half a year after the last month).
"""

from synth.county import County
from synth.delivery import Faults, Push
from synth.founding import county
from synth.identity import Numbers
from synth.month import Rates
from synth.scribe import sources
from synth.stream import stream
from synth.targets import changes
from synth.world import Truth

__all__ = ["County", "Faults", "Numbers", "Push", "Rates", "Truth", "changes", "county", "sources", "stream"]
