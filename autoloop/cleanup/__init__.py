"""What runs and benches hold on the disk, and removing it."""
