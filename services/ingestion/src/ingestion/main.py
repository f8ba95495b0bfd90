"""The whole service on one screen."""

from common.service import Service

from ingestion import push_events, receive_inbound

service = Service(
    "ingestion",
    routes=[push_events.router],
    raw={"population.inbound": receive_inbound.on_pushed},
    description="Takes in what sources say about people, keeps identities in a vault, and tells the facts.",
)
app = service.app
