"""One turn, from claim to hand-over."""
