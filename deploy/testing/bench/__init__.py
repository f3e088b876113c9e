"""Measures Parlour beside other servers: who they are, what they are put under, and how that is shown."""
