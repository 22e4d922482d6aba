"""What waits for a GPU: checks, speed, and studies that a processor cannot pay."""
