"""Synthetic counties with known truth, for tests, demonstrations and measurements. All people are invented.

    made = synth.county(seed=7, people=2000, divisions=["530302", "141125"], today=date(2026, 5, 1))
    load = made.initial_load()                      # CloudEvents as dicts
    pushes = synth.stream(made, months=6, seed=7)   # deliveries, with faults
    truth = made.truth(made.today)                  # when both are delivered

`stream` continues from the county's day. Its last events are up to half a year later than the last month. So choose a
`today` that is early enough: no event may be later than the platform's clock.
"""

from synth.cloud_events import sources
from synth.county import County
from synth.delivery import Faults, Push
from synth.identity import Numbers
from synth.measurement import changes
from synth.month import Rates
from synth.population import county
from synth.stream import stream
from synth.truth import Truth

__all__ = ["County", "Faults", "Numbers", "Push", "Rates", "Truth", "changes", "county", "sources", "stream"]
