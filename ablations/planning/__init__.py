"""From a request to a study and its trials, how long they will take, and what they can tell."""
