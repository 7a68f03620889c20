"""The real clients against stand-ins for their services."""
