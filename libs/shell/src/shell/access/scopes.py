"""The caller, and the data that the caller may see. `scope_of` is the only rule for this in all services.

A role is necessary, not sufficient. A missing claim in a token never widens the scope. A role that works in an area
needs an area, a source and a provider need their own name, and a resident sees one person.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from common.codes import divisions
from common.errors import NotAllowed

Role = Literal[
    "source", "provider", "visitor", "assessor", "officer", "approver", "auditor", "resident", "admin", "service"
]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
# A service is no person: no issuer for people gives its role, and `shouwang token` does not either.
GIVEN_ROLES: Final[tuple[Role, ...]] = tuple(role for role in ROLES if role != "service")


@dataclass(frozen=True, slots=True)
class Everything:
    """All data, also data whose area is unknown: for the nation, and for roles of the platform without an area."""

    def sees(self, division: str | None) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Areas:
    """Data of `division` and of all areas below it, by the tree of divisions and never by a code prefix."""

    division: str

    def sees(self, division: str | None) -> bool:
        """Whether data of that area is in the scope. The area None is unknown and lies in no other area."""
        return division is not None and divisions.within(division, self.division)


@dataclass(frozen=True, slots=True)
class _Own:
    """Data of one source, provider or person. The scope contains no area, so `sees` is always False."""

    def sees(self, division: str | None) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class OwnSource(_Own):
    """The events, files and feeds of one registered source (URN)."""

    source: str


@dataclass(frozen=True, slots=True)
class OwnProvider(_Own):
    """The tasks of one provider (credit code). A visitor sees those inside `division` only; a provider has None."""

    provider: str
    division: str | None = None

    def holds(self, provider: str | None, division: str) -> bool:
        """Whether a task of this provider in this area is in the scope."""
        return provider == self.provider and self.covers(division)

    def covers(self, division: str) -> bool:
        return self.division is None or divisions.within(division, self.division)


@dataclass(frozen=True, slots=True)
class OwnPerson(_Own):
    """One person: the resident who calls."""

    person_id: str


Scope = Everything | Areas | OwnSource | OwnProvider | OwnPerson


@dataclass(frozen=True, slots=True)
class Caller:
    """The user or program that makes a request.

    `subject`: the account; `<issuer>|<sub>`, or the sub alone for the local issuer. `user`: the human behind the
    account, the same for all accounts of one human; the subject if the issuer names no humans. Columns that state who
    did something store `user`, and four-eyes checks compare it. `issuer`: None for a signed request. `person`: the
    person id of a resident.

    `authenticated_at`: when the user signed in, None if the token does not state it. `expires_at`: when the token ends,
    None for a signed request. Both in seconds since 1970, real time.
    """

    subject: str
    role: Role
    division: str | None = None
    source: str | None = None
    provider: str | None = None
    expires_at: float | None = None
    user: str = ""
    issuer: str | None = None
    authenticated_at: float | None = None
    person: str | None = None

    def __post_init__(self) -> None:
        if not self.user:
            object.__setattr__(self, "user", self.subject)

    def may_see(self, division: str | None) -> bool:
        """Whether data of that area (None: unknown) is in the caller's scope. Raises NotAllowed like `scope_of`."""
        return scope_of(self).sees(division)

    def need_area(self, division: str | None) -> None:
        """Raise NotAllowed if data of that area (None: unknown) is outside the caller's scope."""
        if not self.may_see(division):
            raise NotAllowed("outside your area")


def scope_of(caller: Caller) -> Scope:
    """The data that a caller may see. Raises NotAllowed (403) if the token lacks a claim: `area_required`,
    `provider_required`, `source_required` or `person_required`."""
    match caller.role:
        case "source":
            return OwnSource(_named(caller.source, "source"))
        case "provider":
            return OwnProvider(_named(caller.provider, "provider"))
        case "visitor":
            return OwnProvider(_named(caller.provider, "provider"), _named(caller.division, "area"))
        case "resident":
            return OwnPerson(_named(caller.person, "person"))
        case "admin" | "service":
            return Everything() if caller.division is None else _areas(caller.division)
        case "officer" | "approver" | "assessor" | "auditor":
            return _areas(_named(caller.division, "area"))


def _areas(division: str) -> Everything | Areas:
    return Everything() if division == divisions.NATION else Areas(division)


def _named(claim: str | None, what: str) -> str:
    if not claim:
        raise NotAllowed(f"the token names no {what}", code=f"{what}_required")
    return claim
