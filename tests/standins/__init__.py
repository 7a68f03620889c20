"""Stand-ins for the services of models: local servers with scripted turns, and every fault that services have."""
