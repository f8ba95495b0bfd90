"""What supervision holds to be true: visits and their verdicts, people and their classes, alerts as cases."""
