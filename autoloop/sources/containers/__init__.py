"""What a task says of its container, and how much of it can be had without one."""
