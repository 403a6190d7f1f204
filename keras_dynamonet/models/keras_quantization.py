"""The quantisation of Keras, which is not that of the exports."""


class NoKerasQuantization:
    """Refuses `quantize`: Keras has no eight bits for convolutions over time.

    It would quantise the classifier alone, a thousandth of the work, and save a file
    that does not load. Stands before `keras.Model` among the bases of a network.
    """

    def quantize(self, *_, **__):
        """Raises an error that says how to get a network in eight bits.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "Keras quantises no convolutions over time, which are nearly all of this "
            "network. For INT8 export it: dynamonet export RUN --format onnx,tflite "
            "--precision int8."
        )
