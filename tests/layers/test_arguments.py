from keras_dynamonet.layers.arguments import triple


def test_triple_repeats_a_number_and_keeps_a_sequence():
    assert triple(3) == (3, 3, 3)
    assert triple([1, 2, 2]) == (1, 2, 2)
