"""What goes on here, of both products: finding runs and benches, following them, and the overview."""
