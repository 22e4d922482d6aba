"""`python -m ablations.bench`: how fast trainings finish here, beside the other ways to train the same networks."""
