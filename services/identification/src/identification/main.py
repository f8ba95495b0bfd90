"""identification: who is entitled to what. Facts and ability results in, entitlement timelines with reasons out."""

from common.events import AbilitiesDetermined, CoverageDeclared, PersonFactsRecorded
from common.jobs import Job
from common.service import Service

from identification import (
    choose_item,
    explain_decision,
    follow_redecision,
    halt_policy,
    list_adverse,
    propose_policy,
    prove_inclusion,
    publish_policy,
    read_entitlements,
    read_policies,
    review_policy,
    simulate_policy,
)
from identification.apply_coverage import apply_coverage, on_coverage_declared
from identification.decide_people import on_abilities_determined, on_person_facts_recorded
from identification.explain_adverse import explain_adverse
from identification.keep_to_band import keep_to_band
from identification.redecide_people import redecide_people
from identification.run_simulations import run_simulations
from identification.seed_lists import seed
from identification.tell_edges import tell_edges

service = Service(
    "identification",
    routes=[
        read_entitlements.router,
        explain_decision.router,
        choose_item.router,
        read_policies.router,
        propose_policy.router,
        simulate_policy.router,
        publish_policy.router,
        halt_policy.router,
        review_policy.router,
        prove_inclusion.router,
        follow_redecision.router,
        list_adverse.router,
    ],
    handlers={
        PersonFactsRecorded: on_person_facts_recorded,
        AbilitiesDetermined: on_abilities_determined,
        CoverageDeclared: on_coverage_declared,
    },
    jobs=[
        Job("daily_edge", 1.0, tell_edges),
        Job("apply_coverage", 1.0, apply_coverage),
        Job("redecide", 0.25, redecide_people, shared=True),
        Job("keep_to_band", 1.0, keep_to_band),
        Job("simulate", 0.5, run_simulations),
        Job("explain_adverse", 1.0, explain_adverse),
    ],
    on_start=seed,
    description="Works out by itself who is entitled to what under the lists in force, and explains every yes and no.",
)
app = service.app
