"""A study becomes phases: what they are, what they depend on, what they cost and what is refused."""
