"""Backbones and the multi-task network."""

from keras_dynamonet.models.dynamonet import DynamoNet
from keras_dynamonet.models.presets import PRESETS
from keras_dynamonet.models.resnext3d import ResNeXt3D

__all__ = ["PRESETS", "DynamoNet", "ResNeXt3D"]
