"""A harness for ablation studies, from components, variants and trials to records, effects and a report."""

__version__ = "0.1.0"
