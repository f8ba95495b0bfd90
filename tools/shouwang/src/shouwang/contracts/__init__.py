"""`make contracts`: what outsiders may rely on, generated from the code."""
