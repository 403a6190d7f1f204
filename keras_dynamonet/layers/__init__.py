"""The layers, one concept a file."""

import keras

from keras_dynamonet.keras_backend import refuse_unusable_backend
from keras_dynamonet.layers.conv_norm import ConvNorm, VideoBatchNormalization
from keras_dynamonet.layers.dynamic_motion_filter import DynamicMotionFilter
from keras_dynamonet.layers.filter_generator import (
    FilterForecaster,
    FrameFilterGenerator,
    PooledFilterGenerator,
)
from keras_dynamonet.layers.filter_normalization import FilterNormalization
from keras_dynamonet.layers.filter_solver import FilterSolver
from keras_dynamonet.layers.frame_maps import FrameMaps
from keras_dynamonet.layers.grouped_conv3d import GroupedConv3D
from keras_dynamonet.layers.motion_descriptor import MotionDescriptor
from keras_dynamonet.layers.pixel_normalization import PixelNormalization
from keras_dynamonet.layers.pooling3d import AveragePool3D, MaxPool3D
from keras_dynamonet.layers.residual_blocks import BasicBlock, BottleneckBlock
from keras_dynamonet.layers.segment_solver import SegmentSolver
from keras_dynamonet.layers.stc_block import STCBlock

__all__ = [
    "AveragePool3D",
    "BasicBlock",
    "BottleneckBlock",
    "ConvNorm",
    "DynamicMotionFilter",
    "FilterForecaster",
    "FilterNormalization",
    "FilterSolver",
    "FrameFilterGenerator",
    "FrameMaps",
    "GroupedConv3D",
    "MaxPool3D",
    "MotionDescriptor",
    "PixelNormalization",
    "PooledFilterGenerator",
    "STCBlock",
    "SegmentSolver",
    "VideoBatchNormalization",
]

refuse_unusable_backend(keras.backend.backend())
