"""Loads a proposed list and the present list that it would replace.

A proposed list is the folder of an area, the whole list as JSON, or the file of one item. The item replaces the item
with this code in the present list. The present list is in contracts/policy, or in force on a running platform.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
from common.codes import divisions
from rules.form.policy import PolicyError, PolicyList, load_item, load_list
from shell.access.auth import issue_token

from shouwang.runtime import machine
from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.service_client import ServiceClient

FOLDER = REPOSITORY / "contracts" / "policy"


class Proposal(NamedTuple):
    """A proposed list, and the present list that it would replace."""

    present: PolicyList
    proposed: PolicyList


def load_proposal(path: Path, area: str | None, *, running: bool) -> Proposal:
    """Load both lists. `path` names the proposed list; `running`: the present list is the one in force on the platform.

    `area`: needed for the file of an item whose folder is not named after the area. Raises LocalProblem.
    """
    try:
        proposed = _whole_list(path)
        code = proposed.jurisdiction if proposed else area or path.absolute().parent.name
        if not divisions.known(code):
            raise LocalProblem(f"There is no area {code}: name it with --area.")
        present = _in_force(code) if running else _filed(code)
        return Proposal(present, proposed or _with_item(present, path))
    except OSError as error:
        raise LocalProblem(f"{path} cannot be read ({error.strerror}).") from None
    except (PolicyError, msgspec.MsgspecError) as fault:
        raise LocalProblem(f"{path} is not a list: {fault}") from None


def _whole_list(path: Path) -> PolicyList | None:
    """Load a list from a folder or a JSON file; None for another file, which holds one item."""
    if path.is_dir():
        return load_list(path)
    if path.suffix == ".json":
        return msgspec.json.decode(path.read_bytes(), type=PolicyList)
    return None


def _with_item(present: PolicyList, path: Path) -> PolicyList:
    """Return the present list with the item of the file, which replaces an item with the same code."""
    item = load_item(path)
    return msgspec.structs.replace(present, items={**present.items, item.item: item})


def _filed(area: str) -> PolicyList:
    """Load the list of an area from contracts/policy; an empty list for an area without a folder."""
    folder = FOLDER / area
    return load_list(folder) if folder.is_dir() else PolicyList(jurisdiction=area)


def _in_force(area: str) -> PolicyList:
    """Fetch the list in force on the platform; an empty list for an area without one."""
    with identification(area) as client:
        found = client.json("GET", f"/v1/policies/{area}", missing_ok=True)
    return msgspec.convert(found["list"], PolicyList) if found else PolicyList(jurisdiction=area)


def identification(area: str) -> ServiceClient:
    """A client of identification, as an officer of the area."""
    url = machine.local_runtime().service_url("identification")
    return ServiceClient("identification", url, issue_token("officer", division=area))
