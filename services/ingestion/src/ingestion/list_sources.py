"""Who may push what: `GET /v1/sources`."""

from common.auth import AnyCaller
from fastapi import APIRouter
from pydantic import BaseModel

from ingestion.sources import registered

router = APIRouter(tags=["sources"])


class RegisteredSource(BaseModel):
    """`kinds`: what it may say, and how far it is believed there (1 is the strongest)."""

    source: str
    name: str
    area: str
    kinds: dict[str, int]


class SourceList(BaseModel):
    sources: list[RegisteredSource]


@router.get("/v1/sources", summary="Registered sources")
async def list_sources(caller: AnyCaller) -> SourceList:
    """All of them; a source sees itself only."""
    shown = [s for s in registered().values() if caller.role != "source" or s.urn == caller.source]
    return SourceList(sources=[RegisteredSource(source=s.urn, name=s.name, area=s.area, kinds=s.ranks) for s in shown])
