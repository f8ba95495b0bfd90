"""identification: decide and explain every person's entitlements, from facts, ability results and lists."""

from common.events import AbilitiesDetermined, CoverageDeclared, PersonFactsRecorded
from shell.jobs import Job
from shell.service import Service

from identification.answers import explain_decision, list_adverse, read_entitlements
from identification.deciding import choose_item
from identification.deciding.decide_people import on_abilities_determined, on_person_facts_recorded
from identification.deciding.emit_edges import emit_edges
from identification.deciding.explain_adverse import explain_adverse
from identification.lists import read_policies
from identification.lists.apply_coverage import apply_coverage, on_coverage_declared
from identification.lists.seed_lists import seed
from identification.redeciding import follow_redecision
from identification.redeciding.close_watches import close_watches
from identification.redeciding.redecide_people import redecide_people
from identification.release import (
    approve_policy,
    halt_policy,
    propose_policy,
    prove_inclusion,
    publish_policy,
    review_policy,
)
from identification.simulating import simulate_policy
from identification.simulating.run_simulations import run_simulations

service = Service(
    "identification",
    routes=[
        read_entitlements.router,
        explain_decision.router,
        choose_item.router,
        read_policies.router,
        propose_policy.router,
        simulate_policy.router,
        approve_policy.router,
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
        Job("daily_edge", 1.0, emit_edges),
        Job("apply_coverage", 1.0, apply_coverage),
        Job("redecide", 0.25, redecide_people, shared=True),
        Job("keep_to_band", 1.0, close_watches),
        Job("simulate", 0.5, run_simulations),
        Job("explain_adverse", 1.0, explain_adverse),
    ],
    on_start=seed,
    description="Decides every person's entitlements by the lists in force, and explains every yes and every no.",
)
app = service.app
