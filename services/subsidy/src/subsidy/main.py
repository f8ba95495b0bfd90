"""Subsidy computes dues per service month, keeps a double-entry ledger, pays in batches, and recovers money."""

from common.events import EntitlementsDecided
from shell.jobs import Job
from shell.service import Service

from subsidy import decide_batch, make_batch, recover_money, settle_lines, show_batch, show_ledger
from subsidy.determine_dues import on_entitlements_decided
from subsidy.first_months import fix_first_months
from subsidy.roll_month import roll_month

service = Service(
    "subsidy",
    routes=[verb.router for verb in (make_batch, decide_batch, show_batch, settle_lines, recover_money, show_ledger)],
    handlers={EntitlementsDecided: on_entitlements_decided},
    jobs=[Job("roll_month", 1.0, roll_month)],
    on_start=fix_first_months,
    description="Dues per service month, a double-entry ledger, batches with maker and checker, recovery.",
)
app = service.app
