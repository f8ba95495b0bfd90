"""Generates `contracts/asyncapi.yaml`, the AsyncAPI 3.0 description of all topics: those of sources and providers,
and the internal ones."""

import re
from typing import Any, Final

from common.events import all_events
from common.events.population import population_schemas
from shell.kafka.topics import INBOUND, Topic, load_source_topic, load_topics

_HEADERS: Final = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_correlationid"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_type": {"type": "string"},
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_correlationid": {"type": "string", "description": "event_id of the pushed change it goes back to"},
        "ce_causationid": {"type": "string", "description": "id of the event it follows from"},
        "ce_sequence": {"type": "string", "description": "version of a state event"},
        "ce_recordedat": {"type": "string", "format": "date-time"},
        "ce_divisioncode": {"type": "string"},
        "traceparent": {"type": "string"},
    },
}

_STRUCTURED: Final = "application/cloudevents+json"
_INBOUND_HEADERS: Final = {
    "type": "object",
    "description": "Structured mode: the value is the whole event. Binary mode is also taken: ce_specversion, ce_id, "
    "ce_source, ce_type and ce_time as headers, the value is `data`.",
    "properties": {
        "content-type": {"type": "string", "examples": [_STRUCTURED]},
        "traceparent": {"type": "string"},
    },
}
_SIGNED_HEADERS: Final = {
    "type": "object",
    "required": ["shouwang-signature"],
    "properties": {
        "content-type": {"type": "string", "examples": [_STRUCTURED]},
        "shouwang-signature": {
            "type": "string",
            "description": "JWT (ES256 or Ed25519) of the source: htm KAFKA, htu the topic, sha256 of the value",
        },
        "traceparent": {"type": "string"},
    },
}
_SIGNED: Final = "SignedPopulationEvent"
_SCHEMAS: Final = {
    "CloudEventHeaders": _HEADERS,
    "InboundHeaders": _INBOUND_HEADERS,
    "SignedHeaders": _SIGNED_HEADERS,
}


def _message(
    wire_type: str, title: str, summary: str, headers: str = "CloudEventHeaders", content: str = "application/json"
) -> dict[str, Any]:
    return {
        "name": wire_type,
        "title": title,
        "summary": summary,
        "contentType": content,
        "headers": {"$ref": f"#/components/schemas/{headers}"},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./events/{wire_type}.json"},
        },
    }


def _summary(cls: type) -> str:
    """The first sentence of the docstring, or the name of a class without one."""
    text = " ".join((cls.__doc__ or cls.__name__).split())
    return re.split(r"(?<=[.])\s", text, maxsplit=1)[0]


def document() -> dict[str, Any]:
    """Return the whole description: every channel with its messages, and an operation with its direction."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Shouwang",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in Kafka's binary mode; population events also in structured mode. Within "
            "`v1` fields are only added.",
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _SCHEMAS},
    }


def _messages() -> dict[str, Any]:
    messages = {cls.__name__: _message(cls.wire_type(), cls.__name__, _summary(cls)) for cls in all_events().values()}
    for kind in population_schemas():
        messages[f"Population_{kind}"] = _message(
            f"cn.eldercare.population.{kind}.v1",
            kind,
            f"A change of `{kind}` as a source pushes it",
            "InboundHeaders",
            _STRUCTURED,
        )
    messages[_SIGNED] = _signed()
    return messages


def _signed() -> dict[str, Any]:
    """Return the message of the shared topic: any population event, signed by its source."""
    events = [{"$ref": f"./events/cn.eldercare.population.{kind}.v1.json"} for kind in population_schemas()]
    message = _message(_SIGNED, _SIGNED, "A population event that its source has signed", "SignedHeaders", _STRUCTURED)
    return message | {"payload": message["payload"] | {"schema": {"oneOf": events}}}


def _refs(names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _channels() -> dict[str, Any]:
    channels = {topic.name: _channel(topic) for topic in load_topics()}
    channels[f"{INBOUND}.source"] = _source_channel(load_source_topic())
    return channels | _provider_channels()


def _channel(topic: Topic) -> dict[str, Any]:
    retention = f"kept {topic.retention_hours} h"
    if topic.cleanup == "compact":
        retention = "compacted: the newest state per key"
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}; {retention}.",
        "messages": _refs(topic.events or [_SIGNED]),
    }


def _source_channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}; kept {topic.retention_hours} h. Events of the source "
        "urn:cn:exchange:{area}:{office} alone.",
        "parameters": {
            "area": {"description": "Area of the source, 6 digits"},
            "office": {"description": "Office of the source, as in its URN"},
        },
        "messages": _refs([f"Population_{kind}" for kind in population_schemas()]),
    }


def _provider_channels() -> dict[str, Any]:
    uscc = {"uscc": {"description": "Unified social credit code of the provider (GB 32100)"}}
    offers = {
        "address": "dispatch.provider.{uscc}",
        "description": "Key: task_id; kept 30 days. Only this provider's tasks, never who the person is.",
        "parameters": uscc,
        "messages": _refs(["TaskOffered", "TaskWithdrawn"]),
    }
    replies = {
        "address": "dispatch.provider.{uscc}.replies",
        "description": "Key: task_id. Answers of that provider; accepted only for its own tasks.",
        "parameters": uscc,
        "messages": _refs(["TaskReply"]),
    }
    return {"dispatch.provider": offers, "dispatch.provider.replies": replies}


def _operations() -> dict[str, Any]:
    """Return an operation per channel: `receive` on channels of sources and of replies, `send` on all others."""
    outside = {INBOUND, f"{INBOUND}.source", "dispatch.provider.replies"}
    return {
        f"{'receive' if name in outside else 'send'}.{name}": {
            "action": "receive" if name in outside else "send",
            "channel": {"$ref": f"#/channels/{name.replace('/', '~1')}"},
        }
        for name in _channels()
    }
