"""The settings of ingestion. They are read when they are used, so that a test can change them."""

from os import environ
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ImportSettings(BaseSettings):
    """Limits of imported files."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_IMPORT_", extra="ignore")

    bytes_max: int = Field(default=2 * 1024**3, description="largest upload")
    seconds_max: float = Field(default=3_600, description="longest time to send a file")
    disk_free_bytes_min: int = Field(
        default=512 * 1024**2, description="space that must stay free on the disk of the spool"
    )
    unpacked_bytes_max: int = Field(default=4 * 1024**3, description="largest archive after unpacking")
    pages_bytes_max: int = Field(default=64 * 1024**2, description="pages of a Parquet file that are open at one time")
    rows_max: int = Field(default=20_000_000, description="rows of one file")
    open_max: int = Field(default=20, description="files of one source that may wait")
    rejects_bytes_max: int = Field(default=256 * 1024**2, description="stored cells of the rejected rows of one file")
    rejects_kept_days: int = Field(default=90, description="how long rejected rows are kept")


class FeedSettings(BaseSettings):
    """Front-end tables of exchange platforms."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_FEEDS_", extra="ignore")

    folder: Path | None = Field(default=None, description="folder of the feeds; if empty, `contracts/tables`")
    answer_seconds_max: float = Field(default=60.0, description="longest time for one answer of a front-end database")
    runs_kept: int = Field(default=200, description="runs of a feed that are remembered")


def feed_url(variable: str) -> str | None:
    """The URL of a front-end database. A feed names its variable: SHOUWANG_FEED_URL_<NAME>."""
    return environ.get(variable)
