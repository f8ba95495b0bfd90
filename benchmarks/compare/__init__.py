"""Compare two commits on one machine: alternating pairs, processor time first."""
