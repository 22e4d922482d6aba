"""The options of the command line, and what it prints before and during a study."""
