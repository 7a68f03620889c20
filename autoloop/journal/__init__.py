"""The journal: durable events, read on while another process writes, and the locks beside it."""
