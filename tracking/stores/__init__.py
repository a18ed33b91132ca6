"""Where runs and studies lie: the only room that imports MLflow's client, Optuna's storages and SQLAlchemy."""
