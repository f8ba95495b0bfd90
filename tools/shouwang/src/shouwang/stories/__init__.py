"""Stories of single people. They use the public HTTP APIs and topics only.

The demonstration prints them, and the journey tests run the same functions.
"""
