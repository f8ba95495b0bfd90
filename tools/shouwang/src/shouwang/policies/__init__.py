"""Reports about the lists under contracts/policy, for `shouwang policy`."""
