"""Builds networks from frozen descriptions: a `Spec` in, an `nn.Module` out.

Nothing in this package imports the rest of the harness, so that the networks can be used without it.
"""
