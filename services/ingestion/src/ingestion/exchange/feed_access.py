"""Decides which table feeds a caller may see: a source sees its own feeds, other callers those of their area."""

from common.errors import NotFound
from shell.access.auth import Caller
from shell.access.scopes import OwnSource, scope_of

from ingestion.exchange.feeds import Setup, configured


def may_see(setup: Setup, caller: Caller) -> bool:
    scope = scope_of(caller)
    return setup.feed.source == scope.source if isinstance(scope, OwnSource) else scope.sees(setup.area)


def find_feed(name: str, caller: Caller) -> Setup:
    """Return the feed with this name. Raises NotFound if it is unknown, or if the caller may not see it."""
    setup = configured().setups.get(name)
    if setup is None or not may_see(setup, caller):
        raise NotFound("no such feed")
    return setup
