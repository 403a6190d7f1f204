"""Clients of TensorFlow Serving for clips, over gRPC and REST."""

import base64
import http.client
import json
import urllib.parse
from collections.abc import Mapping

import numpy as np

from keras_dynamonet.errors import UserError, first_line
from keras_dynamonet.exporters.serving import GRPC_PORT, REST_PORT, require_serving

UNLIMITED = -1
"""gRPC's own limit of 4 MB is less than one clip of 64 frames of 224 x 224 pixels."""

_UNREACHABLE = ("UNAVAILABLE", "DEADLINE_EXCEEDED")

# A server whose queue is full answers UNAVAILABLE, as one does that is not there: the
# first has room a moment later, the second is given up after some four seconds.
_PATIENCE = {
    "methodConfig": [
        {
            "name": [{"service": "tensorflow.serving.PredictionService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.25s",
                "backoffMultiplier": 2,
                "maxBackoff": "2s",
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
# gRPC keeps a request for another attempt up to this size, by itself 256 KB.
_KEPT_BYTES = 2**31 - 1


class UnreachableError(UserError):
    """No TensorFlow Serving answers at the address, or none in time."""


class GrpcClient:
    """Talks to TensorFlow Serving over gRPC: clips travel as raw bytes.

    Use as a context manager. Where the server's queue is full, a request is sent again,
    five times in all.

    Args:
        address: `host:port`.
        model: Name of the model.
        version: Its version. Default: the newest.
        timeout_seconds: How long to wait for an answer.

    Raises:
        MissingExtraError: If the extra `serving` is not installed.
        UserError: If the address is empty.

    Example:

    ```python
    with GrpcClient("localhost:8500", "actions") as client:
        client.predict({"clip": clips})["probabilities"]
    ```
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout_seconds: float = 60.0,
    ):
        require_serving()
        if not address:
            raise UserError("The address is empty. Give host:port.")
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self.address = address
        self.model = model
        self.version = version
        self.timeout_seconds = timeout_seconds
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_send_message_length", UNLIMITED),
                ("grpc.max_receive_message_length", UNLIMITED),
                ("grpc.service_config", json.dumps(_PATIENCE)),
                ("grpc.per_rpc_retry_buffer_size", _KEPT_BYTES),
            ],
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def __enter__(self) -> "GrpcClient":
        return self

    def __exit__(self, *_):
        self._channel.close()

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str = "serving_default"
    ) -> dict[str, np.ndarray]:
        """Asks for the outputs of a signature.

        Args:
            inputs: Arrays by name; strings as objects of type `bytes`.
            signature: Name of the signature.

        Returns:
            Outputs by name.

        Raises:
            UnreachableError: If no TensorFlow Serving answers.
            UserError: If it answers with an error.
        """
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        if self.version is not None:
            request.model_spec.version.value = self.version
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            response = self._stub.Predict(request, timeout=self.timeout_seconds)
        except grpc.RpcError as error:
            code = error.code().name
            if code == "UNAVAILABLE" and "queue" in (error.details() or ""):
                raise UserError(
                    f"{self.address}: is busy: {first_line(error.details())}. Ask "
                    "again later."
                ) from error
            kind = UnreachableError if code in _UNREACHABLE else UserError
            raise kind(
                f"{self.address}: {code}: {first_line(error.details() or '')}. Check "
                "the address, the name of the model and the signature."
            ) from error
        return {name: tf.make_ndarray(v) for name, v in response.outputs.items()}


class RestClient:
    """Talks to TensorFlow Serving over HTTP, without any dependency.

    Pixels as JSON take five times their bytes: prefer `classify_bytes`. A full queue is
    an error at once.

    Args:
        address: `host:port`, by default port 8501, or a URL that ends before `/v1`, by
            default with the port of its scheme.
        model: Name of the model.
        version: Its version. Default: the newest.
        timeout_seconds: How long to wait for an answer.

    Raises:
        UserError: If the address is none.

    Example:

    ```python
    client = RestClient("localhost:8501", "actions")
    client.predict({"frames": encode_jpeg(clips)}, "classify_bytes")
    ```
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout_seconds: float = 60.0,
    ):
        has_scheme = "://" in address
        parts = urllib.parse.urlsplit(address if has_scheme else f"http://{address}")
        usual = (
            {"http": 80, "https": 443}.get(parts.scheme) if has_scheme else REST_PORT
        )
        try:
            port = usual if parts.port is None else parts.port
        except ValueError:
            port = None  # no number, or too large
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise UserError(f"{address}: is no address. Give host:port or a URL.")
        self.address = address
        kind = http.client.HTTPConnection
        if parts.scheme == "https":
            kind = http.client.HTTPSConnection
        self._connect = lambda: kind(parts.hostname, port, timeout=timeout_seconds)
        chosen = "" if version is None else f"/versions/{version}"
        self._path = f"{parts.path.rstrip('/')}/v1/models/{model}{chosen}"

    def __enter__(self) -> "RestClient":
        return self

    def __exit__(self, *_):
        pass  # every request has a connection of its own

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str = "serving_default"
    ) -> dict[str, np.ndarray]:
        """As :meth:`GrpcClient.predict`."""
        body = {
            "signature_name": signature,
            "inputs": {name: _to_json(value) for name, value in inputs.items()},
        }
        answer = self._request("POST", f"{self._path}:predict", "outputs", body)
        outputs = answer["outputs"]
        if not isinstance(outputs, dict):
            # The server leaves out the name of a single output.
            outputs = {self._only_output(signature): outputs}
        try:
            return {name: np.asarray(v, "float32") for name, v in outputs.items()}
        except (TypeError, ValueError) as error:
            raise self._no_answer("outputs that are no numbers") from error

    def metadata(self) -> dict:
        """The signatures of the model, as the server tells them.

        Raises:
            UnreachableError: If no TensorFlow Serving answers.
            UserError: If it answers with an error.
        """
        return self._request("GET", f"{self._path}/metadata", "metadata")

    def _only_output(self, signature):
        metadata = self.metadata()["metadata"]
        try:
            definitions = metadata["signature_def"]["signature_def"]
            (name,) = definitions[signature]["outputs"]
        except (KeyError, TypeError, ValueError) as error:
            reason = f"metadata that do not name the output of {signature}"
            raise self._no_answer(reason) from error
        return name

    def _request(self, method, path, part, body=None):
        """The document that the server answers with, which has a certain part."""
        connection = self._connect()
        try:
            content = None if body is None else json.dumps(body)
            connection.request(
                method, path, content, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._no_answer(first_line(str(error))) from error
        finally:
            connection.close()
        if isinstance(answer, dict):
            if response.status != 200 or "error" in answer:
                reason = str(answer.get("error") or f"status {response.status}")
                raise UserError(f"{self.address}: {first_line(reason)}")
            if part in answer:
                return answer
        raise self._no_answer(f"JSON without `{part}`")

    def _no_answer(self, reason):
        return UnreachableError(
            f"{self.address}: no answer of TensorFlow Serving: {reason}. Check the "
            f"address; REST is on port {REST_PORT}, gRPC on {GRPC_PORT}."
        )


def _to_json(value):
    value = np.asarray(value)
    if value.dtype.kind not in "OS":
        return value.tolist()
    return _strings_to_json(value.tolist())


def _strings_to_json(value):
    if isinstance(value, list):
        return [_strings_to_json(item) for item in value]
    return {"b64": base64.b64encode(value).decode("ascii")}
