"""Compares the cost of two commits on one machine, in alternating pairs. Processor time decides first."""
