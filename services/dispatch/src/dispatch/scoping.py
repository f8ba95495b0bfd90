"""Which tasks and providers are in a caller's scope (`shell.access.scopes`)."""

from collections.abc import Sequence

from common.errors import NotAllowed, NotFound
from shell.access.scopes import Everything, OwnProvider, Scope


def sees_task(scope: Scope, provider: str | None, division: str) -> bool:
    """Whether a task of this provider (None: unplaced) in this area is in the scope."""
    if isinstance(scope, OwnProvider):
        return scope.holds(provider, division)
    return scope.sees(division)


def need_feed(scope: Scope, uscc: str, divisions: Sequence[str]) -> None:
    """Raises NotAllowed unless all messages of the provider are in the scope. `divisions`: the areas that it serves.

    A provider that serves nothing is unknown: NotFound, for a caller who could see it.
    """
    if isinstance(scope, OwnProvider):
        seen = scope.provider == uscc and all(scope.covers(division) for division in divisions)
    else:
        seen = isinstance(scope, Everything) or (bool(divisions) and all(map(scope.sees, divisions)))
    if not seen:
        raise NotAllowed("the feed of this provider is not in your scope")
    if not divisions:
        raise NotFound("no such provider")
