"""The ablation harness: components -> variants -> trials -> records -> effects -> report."""

__version__ = "0.1.0"
