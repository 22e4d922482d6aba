"""What is ablated: each subject is a folder."""
