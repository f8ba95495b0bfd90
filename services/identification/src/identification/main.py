"""identification: who is entitled to what. Facts and ability results in, entitlement timelines with reasons out."""

from common.events import AbilitiesDetermined, PersonFactsRecorded
from common.jobs import Job
from common.service import Service

from identification import (
    choose_item,
    explain_decision,
    follow_redecision,
    prove_inclusion,
    publish_policy,
    read_entitlements,
)
from identification.decide_people import on_abilities_determined, on_person_facts_recorded
from identification.redecide_people import redecide_people
from identification.seed_lists import seed
from identification.tell_edges import tell_edges

service = Service(
    "identification",
    routes=[
        read_entitlements.router,
        explain_decision.router,
        choose_item.router,
        publish_policy.router,
        prove_inclusion.router,
        follow_redecision.router,
    ],
    handlers={PersonFactsRecorded: on_person_facts_recorded, AbilitiesDetermined: on_abilities_determined},
    jobs=[Job("daily_edge", 1.0, tell_edges), Job("redecide", 0.25, redecide_people, shared=True)],
    on_start=seed,
    description="Works out by itself who is entitled to what under the lists in force, and explains every yes and no.",
)
app = service.app
