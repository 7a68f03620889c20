"""Values and pure functions: no files, processes, clock, environment or unseeded randomness."""
