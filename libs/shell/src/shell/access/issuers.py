"""The issuers whose tokens this installation accepts, from the YAML file that `SHOUWANG_ISSUERS` names.

    issuers:
      - url: https://id.example.gov.cn/realms/staff     # the claim `iss`, exactly
        kind: people                                    # people, residents or machines
        audience: shouwang                              # in the claim `aud`; never the client id of the console
        algorithms: [ES256, RS256]
        jwks: https://id.example.gov.cn/realms/staff/protocol/openid-connect/certs   # or a file
        ca: /etc/ssl/own-ca.pem                         # optional: the authority of that address
        roles: [officer, approver, auditor]             # it gives no other role
        role_names: {elder-officer: officer}            # optional: its own names of roles
        users: city-staff                               # optional: issuers with one name share their users
        claims: {role: [realm_access, roles], division: division, user: employee_number}

Without the file, the local issuer is the only one. With the file, the local issuer is off, except in a demonstration
and in tests. The file is read when the process starts.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from shell.access.scopes import ROLES, Role
from shell.settings import paths, settings

Kind = Literal["people", "residents", "machines", "local"]
Place = str | tuple[str, ...]
LOCAL_URL: Final = "shouwang"
AUDIENCE: Final = "shouwang"  # of local tokens and signed requests
ISSUERS_MAX: Final = 50
SEPARATOR: Final = "|"  # between an issuer and its name of an account or a user
# No kind of issuer gives more than these roles, whatever its list says.
ROLES_OF: Final[Mapping[Kind, frozenset[Role]]] = {
    "people": frozenset({"visitor", "assessor", "officer", "approver", "auditor", "admin"}),
    "residents": frozenset({"resident"}),
    "machines": frozenset({"source", "provider", "service"}),
    "local": frozenset(ROLES),
}
# Only signatures by a private key: an issuer's public keys are no secret.
ALGORITHMS: Final = frozenset(
    {"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}
)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claim of each fact about the caller: a name, or a path into nested objects. None: the issuer does not state
    the fact."""

    role: Place = "role"
    division: Place | None = None
    source: Place | None = None
    provider: Place | None = None
    person: Place | None = None
    user: Place | None = None
    authenticated_at: Place | None = "auth_time"


class Issuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An issuer of tokens and the limits of its tokens. `jwks`: the address or the file of its public keys."""

    url: Text
    kind: Kind
    audience: Text
    algorithms: tuple[str, ...]
    jwks: Text
    roles: tuple[Role, ...]
    claims: Claims = Claims()
    role_names: dict[str, Role] = {}
    users: Text | None = None
    ca: Path | None = None

    @property
    def is_local(self) -> bool:
        return self.kind == "local"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    issuers: Annotated[tuple[Issuer, ...], msgspec.Meta(min_length=1, max_length=ISSUERS_MAX)]


def issuers() -> Mapping[str, Issuer]:
    """Return the accepted issuers by their URL. Raises ValueError for a file that is missing or wrong; a
    service calls this at its start."""
    return _issuers(paths().issuers, paths().token_jwks, settings().moves_clock)


@lru_cache(maxsize=8)
def _issuers(file: Path | None, local_keys: Path, local_too: bool) -> Mapping[str, Issuer]:
    found = {issuer.url: issuer for issuer in load(file)} if file else {}
    if local_too or file is None:
        found[LOCAL_URL] = _local(local_keys)
    return found


def forget() -> None:
    """Read the file anew at the next use. For tests."""
    _issuers.cache_clear()


def local_is_on() -> bool:
    """Whether this installation accepts the tokens of the local issuer."""
    return paths().issuers is None or settings().moves_clock


def _local(keys: Path) -> Issuer:
    return Issuer(
        url=LOCAL_URL,
        kind="local",
        audience=AUDIENCE,
        algorithms=("ES256",),
        jwks=str(keys),
        roles=ROLES,
        claims=Claims(division="division", source="source", provider="provider", user="user"),
    )


def load(file: Path) -> tuple[Issuer, ...]:
    """Read and check the file of the issuers. Raises ValueError with the first fault."""
    try:
        found = msgspec.yaml.decode(file.read_bytes(), type=_File).issuers
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(f"SHOUWANG_ISSUERS={file}: {error}") from error
    if len({issuer.url for issuer in found}) != len(found):
        raise ValueError(f"SHOUWANG_ISSUERS={file}: an issuer stands there twice")
    for issuer in found:
        if fault := _fault(issuer):
            raise ValueError(f"SHOUWANG_ISSUERS={file}: {issuer.url}: {fault}")
    return found


def _fault(issuer: Issuer) -> str | None:
    """The first fault of an entry; None if it is sound."""
    if issuer.url == LOCAL_URL or issuer.is_local:
        return "the local issuer is not set in the file"
    if SEPARATOR in issuer.url + (issuer.users or ""):
        return f"url and users must not contain {SEPARATOR}"
    if not issuer.algorithms or not ALGORITHMS.issuperset(issuer.algorithms):
        return f"algorithms must be some of {', '.join(sorted(ALGORITHMS))}"
    given = {*issuer.roles, *issuer.role_names.values()}
    if beyond := given - ROLES_OF[issuer.kind]:
        return f"an issuer for {issuer.kind} does not give the role {min(beyond)}"
    if unlisted := set(issuer.role_names.values()) - set(issuer.roles):
        return f"role_names names the role {min(unlisted)}, which is not in roles"
    if "://" in issuer.jwks and not is_safe(issuer.jwks):
        return "jwks must be an https address (http only on this machine)"
    return None


def is_safe(address: str) -> bool:
    """Whether an address uses https, or http on this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def claim(claims: Mapping[str, Any], path: Place | None) -> Any:
    """Return the value at a path of a token's claims; None without a path or a value."""
    found: Any = claims
    for name in (path,) if isinstance(path, str) else path or ():
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if path else None
