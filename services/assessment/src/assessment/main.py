"""Assessment requests ability assessments, scores forms, takes signatures, and determines the levels in force."""

from common.events import EntitlementsDecided
from shell.jobs import Job
from shell.service import Service

from assessment import show_assessments, sign_assessment, submit_assessment
from assessment.request_assessments import look_again, on_entitlements_decided

service = Service(
    "assessment",
    routes=[submit_assessment.router, sign_assessment.router, show_assessments.router],
    handlers={EntitlementsDecided: on_entitlements_decided},
    jobs=[Job("look_again", 1.0, look_again)],
    description="Ability assessment after GB/T 42195-2022: requests, forms, signatures, results.",
)
app = service.app
