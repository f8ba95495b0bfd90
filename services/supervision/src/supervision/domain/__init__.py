"""Pure decisions: received events, visits and verdicts, alerts, open matters, gaps of moves, statistics, chains."""
