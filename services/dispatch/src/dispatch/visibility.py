"""Decide which tasks and provider feeds are in a caller's scope (`shell.access.scopes`)."""

from collections.abc import Sequence

from common.errors import NotAllowed, NotFound
from shell.access.scopes import Everything, OwnProvider, Scope


def sees_task(scope: Scope, provider: str | None, division: str) -> bool:
    """Whether a task of this provider (None: unplaced) in this area is in the scope."""
    if isinstance(scope, OwnProvider):
        return scope.holds(provider, division)
    return scope.sees(division)


def sees_whole_feed(scope: Scope) -> bool:
    """Whether the scope has no limit by area, so that the areas of messages need no check."""
    return isinstance(scope, Everything) or (isinstance(scope, OwnProvider) and scope.division is None)


def need_feed(scope: Scope, uscc: str, divisions: Sequence[str]) -> None:
    """Check that messages of a provider are in the scope. Raises NotAllowed if not. `divisions`: areas of the messages.

    Without any division the provider is unknown. Then it raises NotFound, or NotAllowed if the scope consists of areas
    or of another provider.
    """
    if isinstance(scope, OwnProvider):
        seen = scope.provider == uscc and all(scope.covers(division) for division in divisions)
    else:
        seen = isinstance(scope, Everything) or (bool(divisions) and all(map(scope.sees, divisions)))
    if not seen:
        raise NotAllowed("the feed of this provider is not in your scope")
    if not divisions:
        raise NotFound("no such provider")
