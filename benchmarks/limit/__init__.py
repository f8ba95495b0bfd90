"""Measures the raw limit: the bytes of a burst through the same number of databases, without any processing.

A *hop* is a process that stands for one service.
"""
