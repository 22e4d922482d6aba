"""Study files in Python as subjects: a reference, components, metrics and a function that runs a trial."""
