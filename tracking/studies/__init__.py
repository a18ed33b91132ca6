"""What becomes Optuna's studies: proposals, stage records, and the contract of a shared study."""
