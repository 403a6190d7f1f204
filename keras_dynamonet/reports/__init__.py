"""The report: one HTML page with figures, pictures and clips.

It is built from plain arrays and numbers and knows nothing of models or data sets.
"""

from keras_dynamonet.reports.contents import Provenance as Provenance
from keras_dynamonet.reports.contents import Report as Report
from keras_dynamonet.reports.exhibits import CommandShown as CommandShown
from keras_dynamonet.reports.exhibits import Example as Example
from keras_dynamonet.reports.exhibits import FilterComparison as FilterComparison
from keras_dynamonet.reports.exhibits import FilterRow as FilterRow
from keras_dynamonet.reports.exhibits import FrameStrip as FrameStrip
from keras_dynamonet.reports.exhibits import Loop as Loop
from keras_dynamonet.reports.intervals import wilson_interval as wilson_interval
from keras_dynamonet.reports.page import render_html as render_html
from keras_dynamonet.reports.page import write_report as write_report
from keras_dynamonet.reports.results import Bounds as Bounds
from keras_dynamonet.reports.results import Classification as Classification
from keras_dynamonet.reports.results import FramePrediction as FramePrediction
