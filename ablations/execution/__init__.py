"""Trials -> results, in this process or on Ray: turns, failures, second tries.  No statistics."""
