-- Run once by the postgres image, on an empty volume: a database each for MLflow and Optuna, whose migrations both
-- keep their version in a table called alembic_version.
CREATE DATABASE mlflow;
CREATE DATABASE optuna;
