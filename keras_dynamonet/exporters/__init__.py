"""Exports that prove themselves: SavedModel, ONNX, TFLite, TensorRT."""
