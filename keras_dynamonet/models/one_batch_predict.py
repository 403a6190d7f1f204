"""`predict` of clips that make one batch."""

import keras
import numpy as np
from keras import ops

_KERAS_BATCH = 32  # the `batch_size` of `keras.Model.predict` where none is given


class OneBatchPredict:
    """Lets `predict` go without a dataset where there is one batch alone.

    On TensorFlow, Keras makes a dataset at every call and traces its functions anew,
    which takes several times as long as a small network needs for a clip. Stands before
    `keras.Model` among the bases of a network; it is none itself, because Keras changes
    the bases of functional networks, and with them those of all that share one.

    Example:

    >>> class Network(OneBatchPredict, keras.Model):
    ...     def call(self, clips):
    ...         return ops.mean(clips, axis=(1, 2, 3, 4))
    >>> Network().predict(np.ones((2, 4, 8, 8, 3), "float32"), verbose=0)
    array([1., 1.], dtype=float32)
    """

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """As `keras.Model.predict`, with the same outputs.

        Args:
            x: As for `keras.Model.predict`; a NumPy array of no more than `batch_size`
                clips, uint8 or float32, needs no dataset.
            batch_size: Clips computed at a time. Default: 32.
            verbose: Anything but 0 shows a progress bar, which needs a dataset.
            steps: As for `keras.Model.predict`.
            callbacks: As for `keras.Model.predict`; they need a dataset.

        Returns:
            The outputs as NumPy arrays.
        """
        if (
            isinstance(x, np.ndarray)
            and x.dtype in (np.uint8, np.float32)
            and 0 < len(x) <= (batch_size or _KERAS_BATCH)
            and not (verbose or steps or callbacks)
            # On others `predict_on_batch` leaves states behind that `predict` clears.
            and keras.backend.backend() == "tensorflow"
            # Several devices get their parts of a batch from a dataset.
            and self.distribute_strategy.num_replicas_in_sync == 1
        ):
            return self.predict_on_batch(ops.convert_to_tensor(x))
        return super().predict(x, batch_size, verbose, steps, callbacks)
