"""Arrays in, neighbours out: exact and approximate search, margins and mining."""
