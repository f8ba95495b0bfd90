"""The vault of this installation: its keys are read once."""

from functools import cache

from common.privacy import Keys, Vault


@cache
def vault() -> Vault:
    return Vault(Keys.load())
