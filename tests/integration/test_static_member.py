"""A process with a fixed member name is restarted while a topic that it reads is created."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from shell.settings import Settings
from shell.store.database import Database
from shouwang.runtime.machine import Runtime
from shouwang.trials.probe import Probe, make_topic, probe_database


@pytest.fixture
async def database(stores: Runtime) -> AsyncIterator[Database]:
    async with probe_database(stores) as database:
        yield database


async def test_a_restarted_static_member_reads_a_topic_created_meanwhile(
    settings: Settings, database: Database
) -> None:
    """Kafka returns the old partitions to a static member; they do not include the new topic."""
    early, late = f"probe.{uuid4().hex[:8]}", f"probe.{uuid4().hex[:8]}"
    probe = Probe(settings.model_copy(update={"member": f"probe-{uuid4().hex[:8]}"}), database, early, [late])
    await make_topic(settings, early)
    await probe.start()
    try:
        await probe.send("before the restart")
        await probe.until_handled("before the restart")
        await probe.stop()
        await make_topic(settings, late)
        await probe.start()
        await probe.send("on the old topic")
        await probe.send("on the new topic", topic=late)
        await probe.until_handled("before the restart", "on the old topic", "on the new topic")
    finally:
        await probe.stop()
