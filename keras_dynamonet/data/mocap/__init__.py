"""A benchmark of human actions, rendered from motion capture. See README.md here."""

from keras_dynamonet.data.mocap.backdrops import backdrop_videos as backdrop_videos
from keras_dynamonet.data.mocap.benchmark import render_benchmark as render_benchmark
from keras_dynamonet.data.mocap.classes import DEMO_CLASSES as DEMO_CLASSES
from keras_dynamonet.data.mocap.classes import TRACKS as TRACKS
