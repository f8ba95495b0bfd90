"""Settings of identification: environment variables with the prefix SHOUWANG_."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class BandSettings(BaseSettings):
    """How far the effect of a published list may differ from its simulation. No document names these limits."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_", extra="ignore")

    band_people: int = Field(default=50, description="allowed difference of the number of changed people")
    band_fen: int = Field(default=1_000_000, description="allowed difference of raised or cut money, in fen")
    band_permille: int = Field(
        default=50,
        description="allowed difference of each figure, in permille of the simulated figure; the larger limit counts",
    )
    simulation_days_max: int = Field(default=30, description="age in days up to which a simulation can be signed")


class WorkerSettings(BaseSettings):
    """Worker processes for simulations."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_", extra="ignore")

    simulation_workers: int = Field(
        default=2,
        description="worker processes, about 100 MB each while a simulation runs; 0: the service process simulates",
    )
