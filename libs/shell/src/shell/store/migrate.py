"""`python -m shell.store.migrate <service> [revision]` upgrades the database of a service with Alembic.

A service's `migrations/env.py` is one call of `run_environment`. Its first revision calls `create_platform_tables` and
then creates its own tables. All tables are in the schema with the name of the service.
"""

import importlib
import logging
import sys
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command, context, op
from alembic.config import Config
from sqlmodel import SQLModel

from shell.settings import settings
from shell.store.platform_tables import PLATFORM_TABLES

VERSION_TABLE: Final = "schema_versions"


def migrations_folder(service: str) -> Path:
    """The folder `migrations` of a service. Raises RuntimeError if its package has no folder."""
    module = importlib.import_module(service)
    if module.__file__ is None:
        raise RuntimeError(f"{service} has no folder")
    return Path(module.__file__).parents[2] / "migrations"


def _config(service: str, url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder(service)))
    config.set_main_option("path_separator", "os")
    config.attributes["service"] = service
    config.attributes["url"] = url
    return config


def sync_engine(url: str) -> sa.Engine:
    return sa.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        hide_parameters=True,
        poolclass=sa.pool.NullPool,
    )


def migrate(service: str, url: str, revision: str = "head") -> None:
    """Upgrade the database at `url`, which must exist, to `revision`. Concurrent callers wait for each other."""
    command.upgrade(_config(service, url), revision)


def run_environment() -> None:
    """Run the migrations of the service that `migrate` names. Every `env.py` contains only this call."""
    service = context.config.attributes["service"]
    engine = sync_engine(context.config.attributes["url"])
    with engine.connect() as connection, connection.begin():
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('shouwang-migrate'))"))
        connection.execute(sa.text(f'CREATE SCHEMA IF NOT EXISTS "{service}"'))
        connection.execute(sa.text(f'SET LOCAL search_path TO "{service}", public'))
        context.configure(
            connection=connection,
            target_metadata=SQLModel.metadata,
            version_table=VERSION_TABLE,
            version_table_schema=service,
        )
        context.run_migrations()
    engine.dispose()


def create_platform_tables() -> None:
    """Create the tables that every service has. The first revision of a service calls it."""
    op.execute(PLATFORM_TABLES)


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)  # noqa: T201 - usage on a terminal
        return 2
    logging.basicConfig(level=logging.WARNING)
    service, *rest = arguments
    migrate(service, settings().database_url(service), *rest[:1])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
