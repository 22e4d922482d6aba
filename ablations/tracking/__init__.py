"""Records -> MLflow, a view that nothing reads back."""
