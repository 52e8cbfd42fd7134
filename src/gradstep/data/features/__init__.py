"""From columns to features, and back to names."""
