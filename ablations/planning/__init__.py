"""What was asked -> a study and its trials, what they will cost, and what they can tell."""
