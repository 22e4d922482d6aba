"""What needs a GPU: checks, speed, and studies that take too long on a processor."""
