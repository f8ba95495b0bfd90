"""`make contracts`: the public descriptions of the platform, generated from the code."""
