"""Taking samples: the sealed program, its scripts in their cells, the canary, the sampler."""
