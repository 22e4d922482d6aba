"""From plain tables to matplotlib figures, one function a figure."""
