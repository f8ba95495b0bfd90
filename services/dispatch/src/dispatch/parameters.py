"""The visit rules in use, from `contracts/visits/parameters.yaml`."""

from functools import cache

from rules.scales.visits import VisitRules, load_visit_rules
from shell.settings import repository_root


@cache
def visit_rules() -> VisitRules:
    return load_visit_rules(repository_root() / "contracts" / "visits" / "parameters.yaml")
