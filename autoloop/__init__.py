"""autoloop: leave it overnight on a git repository with one number to move."""
