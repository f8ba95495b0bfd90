"""The pure rules of supervision: parsing of events, verdicts, alerts, open matters, move gaps, statistics, chains."""
