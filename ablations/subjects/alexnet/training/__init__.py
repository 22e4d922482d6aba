"""Trains and evaluates networks: a Spec and images in, a trained network and its errors out."""
