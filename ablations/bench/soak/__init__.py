"""`python -m ablations.bench.soak`: what a study loses if processes are killed, and what a long study leaves behind."""
