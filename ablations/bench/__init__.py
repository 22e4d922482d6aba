"""`python -m ablations.bench`: how fast trainings are on this machine, compared with other ways to train."""
