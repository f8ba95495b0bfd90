"""The pure rules for visits: plans, tasks and the choice of a provider. Time is an argument."""
