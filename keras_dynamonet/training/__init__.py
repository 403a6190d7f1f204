"""Training, evaluation and prediction on real video files."""
