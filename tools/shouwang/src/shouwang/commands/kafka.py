"""`shouwang kafka`: the users and grants of Kafka.

shouwang kafka grant                              # users and grants of the services; ended sources lose theirs
shouwang kafka user urn:cn:exchange:530300:psb    # a password for a source, or a new one; shown once
shouwang kafka user 52530302MJ00000017            # the same for a provider, by its credit code
shouwang kafka rotate dispatch                    # a new password for a service of this machine
shouwang kafka users                              # list all users
"""

import argparse
from collections.abc import Sequence

from shouwang.runtime import kafka_grants, machine
from shouwang.runtime.kafka_acls import (
    OPERATOR,
    acls_of_outsider,
    is_outsider,
    provider_user,
    source_user,
)
from shouwang.runtime.machine import Runtime
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.services import SERVICES

ROTATED = (*SERVICES, OPERATOR)  # the super user and the broker get a new password only with a restart of the broker


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0. Raises LocalProblem."""
    given = _parser().parse_args(arguments)
    runtime = machine.local_runtime()
    runtime.require_kafka()
    if given.what == "grant":
        _grant(runtime)
    elif given.what == "user":
        _make_user(runtime, given.owner)
    elif given.what == "rotate":
        _rotate(runtime, given.service)
    else:
        print("\n".join(kafka_grants.list_users(runtime.kafka_users)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shouwang kafka", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True, metavar="grant|user|rotate|users")
    commands.add_parser("grant", help="create the users and grants of the services, remove those of ended sources")
    user = commands.add_parser("user", help="make a (new) password for a source or a provider, and show it once")
    user.add_argument("owner", help="URN of the source, or credit code of the provider")
    rotate = commands.add_parser("rotate", help="give a service of this machine a new password while it runs")
    rotate.add_argument("service", choices=ROTATED, metavar="service", help=", ".join(ROTATED))
    commands.add_parser("users", help="list the users")
    return parser


def _grant(runtime: Runtime) -> None:
    done = runtime.grant_kafka()
    ended = f", ended: {', '.join(done.deleted)}" if done.deleted else ""
    print(f"{len(done.users)} users have their passwords, {done.granted} grants added, {done.revoked} removed{ended}")


def _make_user(runtime: Runtime, owner: str) -> None:
    user = _user_of(owner)
    registers = runtime.load_registers()
    password = kafka_grants.make_outsider(runtime.kafka_users, user, registers)
    print(f"user       {user}")
    print(f"password   {password}   (shown once; run this command again for a new one)")
    print("mechanism  SCRAM-SHA-512")
    for acl in sorted(acls_of_outsider(user, registers)):
        print(f"may        {acl.operation} {acl.kind} {acl.name}{'*' if acl.is_prefix else ''}")


def _user_of(owner: str) -> str:
    """The user of a source or provider. Raises LocalProblem if the text names neither."""
    if owner.startswith("urn:"):
        try:
            return source_user(owner)
        except ValueError as error:
            raise LocalProblem(f"{owner}: {error}.") from error
    user = provider_user(owner)
    if not is_outsider(user):
        raise LocalProblem(f"{owner} is neither the URN of a source nor the credit code of a provider.")
    return user


def _rotate(runtime: Runtime, service: str) -> None:
    users = runtime.kafka_users
    if not users.is_local:
        raise LocalProblem("On another Kafka, change the secret of the service and run `shouwang kafka grant`.")
    kafka_grants.replace_own_password(users, service)
    print(f"{service} has a new password in {users.file(service)}; the broker accepts only this one from now on")
