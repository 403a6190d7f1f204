import numpy as np
import pytest

from keras_dynamonet.data.process_share import local_batch_size, sample_of_process


@pytest.mark.parametrize(("batch_size", "processes"), [(4, 1), (4, 2), (6, 3), (5, 5)])
def test_parts_joined_in_order_are_the_whole_stream(batch_size, processes):
    local = batch_size // processes
    parts = [
        sample_of_process(np.arange(7 * local), batch_size, index, processes)
        for index in range(processes)
    ]
    joined = np.concatenate([part.reshape(7, local) for part in parts], axis=1)
    assert joined.ravel().tolist() == list(range(7 * batch_size))


def test_bad_arguments():
    for count in (0, 3):
        with pytest.raises(ValueError, match="`process_count` must be positive and"):
            local_batch_size(8, count)
    for index in (-1, 2):
        with pytest.raises(ValueError, match="`process_index` must lie in"):
            sample_of_process(0, 8, index, 2)
