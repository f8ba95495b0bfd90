"""What is true of pushed events, persons and households: pure, and the same whatever the order of arrival."""

from ingestion.domain.person import snapshot, statements_of

__all__ = ["snapshot", "statements_of"]
