"""Videos to batches of clips: manifest, decoding, sampling, transforms, pipeline."""

from keras_dynamonet.data.bad_files import BadFileLog as BadFileLog
from keras_dynamonet.data.clip_sampling import ClipSpec as ClipSpec
from keras_dynamonet.data.decoding import VideoError as VideoError
from keras_dynamonet.data.decoding import VideoInfo as VideoInfo
from keras_dynamonet.data.decoding import VideoReader as VideoReader
from keras_dynamonet.data.decoding import VideoTooShortError as VideoTooShortError
from keras_dynamonet.data.decoding import iterate_frames as iterate_frames
from keras_dynamonet.data.decoding import probe_video as probe_video
from keras_dynamonet.data.decoding import read_frames as read_frames
from keras_dynamonet.data.manifest import Manifest as Manifest
from keras_dynamonet.data.manifest import list_splits as list_splits
from keras_dynamonet.data.manifest import load_manifest as load_manifest
from keras_dynamonet.data.pipeline import evaluation_dataset as evaluation_dataset
from keras_dynamonet.data.pipeline import training_dataset as training_dataset
from keras_dynamonet.data.scan import scan_videos as scan_videos
from keras_dynamonet.data.scan_cache import ScanCache as ScanCache
from keras_dynamonet.data.scan_cache import ScanResult as ScanResult
from keras_dynamonet.data.transforms import Augmentation as Augmentation
