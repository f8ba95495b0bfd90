"""What `make bench` runs: latency, burst, the usual way and the raw limit, in one run on one machine."""
