"""Scripts to run from a checkout: `python train/train.py`, `evaluate.py`, `predict.py`.

Each calls the same program as the command `dynamonet`.
"""
