"""Scripts to run from a checkout that turn a trained model into artefacts."""
