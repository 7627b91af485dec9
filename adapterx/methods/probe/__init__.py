"""A linear probe: a head on the frozen encoder."""
