"""`python -m ablations.bench.soak`: what a study loses when its processes are killed, and what a long one leaves."""
