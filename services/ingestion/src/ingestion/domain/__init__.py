"""What is true of pushed events, persons and households: pure, and the same whatever the order of arrival."""

from ingestion.domain.person import Memory, Person, snapshot, statements_of

__all__ = ["Memory", "Person", "snapshot", "statements_of"]
