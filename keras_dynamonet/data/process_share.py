"""Which samples of the training stream each of several processes reads."""


def local_batch_size(batch_size: int, process_count: int) -> int:
    """Clips that one process contributes to each step.

    Args:
        batch_size: Clips in a step, over all processes.
        process_count: Number of processes; divides `batch_size`.

    Raises:
        ValueError: `process_count` is less than 1 or does not divide `batch_size`.

    Example:

    >>> local_batch_size(8, 2)
    4
    """
    if process_count < 1 or batch_size % process_count:
        raise ValueError(
            "`process_count` must be positive and divide `batch_size`. Received: "
            f"process_count={process_count}, batch_size={batch_size}."
        )
    return batch_size // process_count


def sample_of_process(
    local_sample: int, batch_size: int, process_index: int, process_count: int
) -> int:
    """Number in the whole stream of the n-th sample that one process reads.

    Each step's batch is cut into equal parts, in the order of the processes: element
    `j` of a step goes to process `j // (batch_size / process_count)`. So the parts of
    a step, joined in the order of the processes, are the batch that one process alone
    would read, and a run can go on with another number of processes.

    ```
    batch_size=4, 2 processes:   sample  0 1 2 3 | 4 5 6 7 | ...
                                 process 0 0 1 1 | 0 0 1 1 | ...
    ```

    Args:
        local_sample: n, counted from 0 within the process. A number, array or tensor.
        batch_size: Clips in a step, over all processes.
        process_index: Which process, from 0.
        process_count: Number of processes; divides `batch_size`.

    Raises:
        ValueError: `process_index` or `process_count` is out of range.

    Example:

    >>> [sample_of_process(n, 4, 1, 2) for n in range(5)]
    [2, 3, 6, 7, 10]
    """
    local = local_batch_size(batch_size, process_count)
    if not 0 <= process_index < process_count:
        raise ValueError(
            "`process_index` must lie in [0, process_count). Received: "
            f"process_index={process_index}, process_count={process_count}."
        )
    step, place = local_sample // local, local_sample % local
    return step * batch_size + process_index * local + place
