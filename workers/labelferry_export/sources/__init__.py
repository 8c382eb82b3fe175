"""Sources: readers of one project form each. This module is their registry."""
