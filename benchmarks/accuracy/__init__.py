"""What the motion filters bring: experiments, their results, and the table of them.

    python -m benchmarks.accuracy list             # the experiments
    python -m benchmarks.accuracy run              # everything that is missing
    python -m benchmarks.accuracy run NAME ...     # some experiments
    python -m benchmarks.accuracy table            # writes TABLE.md
    python -m benchmarks.accuracy figures          # draws filters and learning curves

A run is one experiment with one seed. Its numbers go to `results.csv` the moment it
ends, under a hash of its configuration: what is there already is not computed again, so
that `run` can be stopped and started at will, and the table grows over days.
"""
