"""How a stage's individuals are ordered and how the next stage's are made: pure functions on values."""
