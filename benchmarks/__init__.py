"""Measures the platform for `make bench`: latency, burst, raw limit, usual way and county, in one run on one machine.

"Door" in the name of a figure is the intake, `POST /v1/events` or `POST /v1/imports`, without the services after it.
"""
