"""MLflow and Optuna: what a search leaves behind, and where its first hyperparameters come from."""
