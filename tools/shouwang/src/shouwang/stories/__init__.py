"""Stories of single people, told through the public doors and topics alone. The demonstration prints them, the
journeys of the tests run the very same functions.
"""
