"""A small TensorFlow Serving on 127.0.0.1: its protocols, on the C API's answers."""

import base64
import contextlib
import http.server
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_dynamonet.exporters.c_api_client import ServedModel, ServingError
from keras_dynamonet.exporters.serving import MAX_BATCH_SIZE


class QueueFull(Exception):
    """What the scheduler of batches says when too many wait."""


class StandIn:
    """Version 1 of one model; answers as the documentation of the server says."""

    def __init__(self, name, path):
        self.name = name
        self.model = ServedModel(path)
        self.lock = threading.Lock()
        self.requests = []
        self.max_batch_size = MAX_BATCH_SIZE  # of batching.config
        self.refusals = 0  # of requests to come, as if the queue were full

    def predict(self, signature, inputs):
        signature = signature or "serving_default"
        if signature not in self.model.signatures:
            raise ServingError(f'Serving signature name: "{signature}" not found')
        size = len(next(iter(inputs.values())))
        if size > self.max_batch_size:
            raise ServingError(
                f"Task size {size} is larger than maximum input batch size "
                f"{self.max_batch_size}"
            )
        with self.lock:
            if self.refusals:
                self.refusals -= 1
                raise QueueFull("The batch scheduling queue is full")
            self.requests.append((signature, inputs))
            return self.model.run(signature, inputs)


@contextlib.contextmanager
def grpc_server(stand_in):
    """Serves the real `PredictionService`; yields `host:port`."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            spec = request.model_spec
            if spec.name != stand_in.name or spec.version.value not in (0, 1):
                text = f"Servable not found for request: Latest({spec.name})"
                context.abort(grpc.StatusCode.NOT_FOUND, text)
            inputs = {name: tf.make_ndarray(v) for name, v in request.inputs.items()}
            try:
                outputs = stand_in.predict(spec.signature_name, inputs)
            except ServingError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except QueueFull as error:
                context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            response = predict_pb2.PredictResponse()
            response.model_spec.CopyFrom(spec)
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

    # The server itself takes messages of any size.
    options = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(2), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Service(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


@contextlib.contextmanager
def rest_server(stand_in):
    """Serves `:predict` and `/metadata`; yields `host:port`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != f"/v1/models/{stand_in.name}/metadata":
                return self.reply(404, {"error": f"Malformed request: GET {self.path}"})
            signatures = {
                name: {
                    "outputs": dict.fromkeys(signature["outputs"], {}),
                    "method_name": "tensorflow/serving/predict",
                }
                for name, signature in stand_in.model.signatures.items()
            }
            definition = {"signature_def": {"signature_def": signatures}}
            self.reply(200, {"metadata": definition})

        def do_POST(self):
            size = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(size))
            paths = [f"/v1/models/{stand_in.name}{v}" for v in ("", "/versions/1")]
            if self.path not in [f"{path}:predict" for path in paths]:
                return self.reply(404, {"error": "Servable not found for request"})
            inputs = {name: decode(name, v) for name, v in body["inputs"].items()}
            try:
                outputs = stand_in.predict(body.get("signature_name"), inputs)
            except ServingError as error:
                return self.reply(400, {"error": str(error)})
            outputs = {name: value.tolist() for name, value in outputs.items()}
            if len(outputs) == 1:
                (outputs,) = outputs.values()
            self.reply(200, {"outputs": outputs})

        def reply(self, status, document):
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def decode(name, value):
    """JSON to arrays, by the server's rules for `b64`."""
    if name == "frames":
        rows = [[base64.b64decode(item["b64"]) for item in row] for row in value]
        return np.array(rows, dtype=object)
    return np.array(value, "float32" if "." in str(value)[:40] else "uint8")
