"""What keeps agents and measurements in their cells: tiers of sandboxes, and the choice among them."""
