"""Made-up studies whose truth is known: how often verdicts on them are wrong."""
