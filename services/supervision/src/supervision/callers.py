"""Define the callers of the service by role."""

from typing import Annotated

from fastapi import Depends
from shell.access.auth import Caller, require

Officer = Annotated[Caller, Depends(require("officer"))]
Provider = Annotated[Caller, Depends(require("provider"))]
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor"))]
ReaderOrProvider = Annotated[Caller, Depends(require("provider", "officer", "approver", "auditor"))]
