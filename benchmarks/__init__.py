"""The measurements of `make bench`: latency, burst, raw limit, usual way and county, in one run on one machine."""
