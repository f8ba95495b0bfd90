"""The setting of subsidy. It is read when it is used, so that a test can change it."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SubsidySettings(BaseSettings):
    """The beginning of the ledger."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_", extra="ignore")

    pay_from_month: str = Field(
        default="",
        description="first service month of the ledger, such as `2026-06`, or with areas `2026-06,530302=2026-01`; "
        "if empty, the month of the first start",
    )
