"""This machine's runtime: Kafka, PostgreSQL and the services as ordinary processes under one folder."""
