"""Scripts to run from a checkout, e.g. `python train/train.py --help`.

Each is the program of the command `dynamonet` that has its name.
"""
