"""Networks: a frozen `Spec` in, an `nn.Module` out.  Knows nothing of ablations."""
