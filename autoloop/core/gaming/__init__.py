"""Signs that a candidate games its measurement, read from its diff."""
