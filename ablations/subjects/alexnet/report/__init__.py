"""The sections of a report that only AlexNet has."""
