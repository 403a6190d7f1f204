import numpy as np
import pytest

from keras_dynamonet.models.complexity import layer_costs
from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.resnext3d import ResNeXt3D


def total(model):
    costs = layer_costs(model)
    return (
        sum(cost.parameters for cost in costs),
        sum(cost.macs for cost in costs),
    )


def network(**changes):
    return ResNeXt3D(
        **{
            "depth": 10,
            "num_frames": 4,
            "size": 16,
            "cardinality": 1,
            "widths": (4, 8, 8, 8),
            "stem_width": 4,
            "num_classes": 3,
            **changes,
        }
    )


def test_counts_equal_those_by_hand():
    stem = 4 * 8 * 8 * (3 * 7**3) * 4
    # Channels in, channels out, positions of the output, whether there is a projection.
    stages = [(4, 4, 2 * 4 * 4, 0), (4, 8, 4, 1), (8, 8, 1, 1), (8, 8, 1, 1)]
    blocks = sum(
        positions * 27 * (before * after + after * after)
        + projected * positions * before * after
        for before, after, positions, projected in stages
    )
    assert total(network())[1] == stem + blocks + 8 * 3


def test_published_figures_of_resnext101():
    parameters, macs = total(ResNeXt3D(101, num_classes=400))
    assert parameters == 48_340_816
    assert round(macs / 1e9, 2) == 9.57


def test_groups_divide_the_arithmetic():
    plain = total(network(block="bottleneck", expansion=2))[1]
    grouped = total(network(block="bottleneck", expansion=2, cardinality=4))[1]
    assert grouped < plain


def test_parameters_are_those_of_the_model():
    model = DynamoNet(network(num_classes=None), num_classes=3)
    counted = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert total(model)[0] == counted


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_filtering_of_frames_is_counted(kernel_size):
    model = DynamoNet(network(num_classes=None), num_classes=3, kernel_size=kernel_size)
    costs = {cost.name: cost for cost in layer_costs(model)}
    assert costs["next_frames"].macs == 4 * 16 * 16 * 3 * kernel_size**2
    # Three transitions of grey pictures, every second pixel inside the rim.
    rim, taps = kernel_size // 2, kernel_size**2
    pixels = 3 * ((16 - 2 * rim + 1) // 2) ** 2
    assert costs["filter_solver"].macs == pixels * taps * (taps + 1)
    assert costs["filter_solver"].parameters == 0


def test_what_computes_nothing_costs_nothing():
    def costs(**options):
        model = DynamoNet(network(num_classes=None), num_classes=3, **options)
        return {cost.name: cost for cost in layer_costs(model)}

    solved, generated = costs(), costs(filter_source="generated")
    assert solved["filter_solver"].macs > 0 and "filter_solver" not in generated
    blind = costs(evidence="feature")["motion_descriptor"]
    assert blind.macs == 0 < solved["motion_descriptor"].macs
    assert blind.parameters == solved["motion_descriptor"].parameters
