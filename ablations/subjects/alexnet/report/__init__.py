"""The parts and sections of a report that only AlexNet has."""
