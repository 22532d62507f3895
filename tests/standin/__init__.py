"""A stand-in, on loopback, for the vendors' APIs that the agent CLIs talk to: one module per vendor."""
