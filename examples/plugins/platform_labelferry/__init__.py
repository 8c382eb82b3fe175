"""What a platform adds to labelferry: its database as a source, and a format and a metric table of its own."""
