"""What every phase works with."""
