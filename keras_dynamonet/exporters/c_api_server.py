"""Runs a SavedModel through TensorFlow's C API, as TensorFlow Serving loads it.

A program of its own, started as a file: it imports neither TensorFlow's Python package
nor Keras nor this library, only the shared library of the installed wheel. It calls
`DisableXlaCompilation`, as the server does unless told otherwise.

    python c_api_server.py LIBRARY_FOLDER SAVED_MODEL

It then answers requests on standard input until that ends. A request is one line of
JSON, then the bytes of the inputs one after the other:

    {"inputs": [{"tensor": "serving_default_clip:0", "dtype": "uint8", "shape": [..],
                 "lengths": [..] of the strings if dtype is "string"}, ...],
     "outputs": ["StatefulPartitionedCall:0", ...], "repeat": 1, "threads": 1}

The answer has the same form: a line `{"outputs": [{"dtype", "shape"}, ...]}` or
`{"error": text}`, then the bytes. With `repeat` the request runs that often, shared out
among the threads, and `"differing"` counts the answers that were not bit for bit the
first one.
"""

import ctypes
import json
import os
import sys
import threading

FLOAT, UINT8, STRING = 1, 4, 7
DTYPES = {"float32": FLOAT, "uint8": UINT8, "string": STRING}
NAMES = {number: name for name, number in DTYPES.items()}
STRING_BYTES = 24  # of one TF_TString

Pointer = ctypes.c_void_p


class Endpoint(ctypes.Structure):
    """`TF_Output`: an operation of the graph and the index of its output."""

    _fields_ = [("operation", Pointer), ("index", ctypes.c_int)]


class CApiError(RuntimeError):
    """TensorFlow answered with a status that is not OK."""


def library_files(folder, platform):
    """The shared libraries with the C API in TensorFlow's package, in loading order.

    The functions of tensors live in the first, those of sessions in the second.

    Raises:
        CApiError: If there are none, as in the package for Windows.
    """
    suffix = "2.dylib" if platform == "darwin" else "so.2"
    names = ("libtensorflow_framework", "libtensorflow_cc")
    files = [os.path.join(folder, f"{name}.{suffix}") for name in names]
    for file in files:
        if not os.path.isfile(file):
            raise CApiError(
                f"{file} is missing: this TensorFlow has no C API to prove a "
                "SavedModel with. Export it on Linux, macOS or under WSL"
            )
    return files


class Library:
    """The functions of the C API that a server needs, with their types."""

    def __init__(self, folder):
        self._libraries = [
            ctypes.CDLL(file, ctypes.RTLD_GLOBAL)
            for file in library_files(folder, sys.platform)
        ]
        self.disable_xla = self._find("_ZN10tensorflow21DisableXlaCompilationEv", None)
        returns_pointer = {
            "TF_NewStatus": [],
            "TF_NewGraph": [],
            "TF_NewSessionOptions": [],
            "TF_LoadSessionFromSavedModel": [
                Pointer,
                Pointer,
                ctypes.c_char_p,
                ctypes.POINTER(ctypes.c_char_p),
                ctypes.c_int,
                Pointer,
                Pointer,
                Pointer,
            ],
            "TF_GraphOperationByName": [Pointer, ctypes.c_char_p],
            "TF_AllocateTensor": [
                ctypes.c_int,
                ctypes.POINTER(ctypes.c_int64),
                ctypes.c_int,
                ctypes.c_size_t,
            ],
            "TF_TensorData": [Pointer],
        }
        for name, arguments in returns_pointer.items():
            setattr(self, name, self._find(name, Pointer, arguments))
        others = {
            "TF_GetCode": (ctypes.c_int, [Pointer]),
            "TF_Message": (ctypes.c_char_p, [Pointer]),
            "TF_DeleteStatus": (None, [Pointer]),
            "TF_DeleteTensor": (None, [Pointer]),
            "TF_TensorType": (ctypes.c_int, [Pointer]),
            "TF_NumDims": (ctypes.c_int, [Pointer]),
            "TF_Dim": (ctypes.c_int64, [Pointer, ctypes.c_int]),
            "TF_TensorByteSize": (ctypes.c_size_t, [Pointer]),
            "TF_StringInit": (None, [Pointer]),
            "TF_StringDealloc": (None, [Pointer]),
            "TF_StringCopy": (None, [Pointer, ctypes.c_char_p, ctypes.c_size_t]),
            "TF_SessionRun": (
                None,
                [
                    Pointer,
                    Pointer,
                    ctypes.POINTER(Endpoint),
                    ctypes.POINTER(Pointer),
                    ctypes.c_int,
                    ctypes.POINTER(Endpoint),
                    ctypes.POINTER(Pointer),
                    ctypes.c_int,
                    Pointer,
                    ctypes.c_int,
                    Pointer,
                    Pointer,
                ],
            ),
        }
        for name, (result, arguments) in others.items():
            setattr(self, name, self._find(name, result, arguments))

    def _find(self, name, result, arguments=()):
        for library in self._libraries:
            try:
                function = getattr(library, name)
            except AttributeError:
                continue
            function.restype, function.argtypes = result, list(arguments)
            return function
        raise CApiError(f"TensorFlow's libraries have no function {name}")

    def checked(self, call):
        """Calls `call(status)` and raises if the status is an error."""
        status = self.TF_NewStatus()
        try:
            result = call(status)
            if self.TF_GetCode(status):
                raise CApiError(self.TF_Message(status).decode(errors="replace"))
            return result
        finally:
            self.TF_DeleteStatus(status)


class Session:
    """A loaded SavedModel."""

    def __init__(self, library, folder):
        self.library = library
        self.graph = library.TF_NewGraph()
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = library.checked(
            lambda status: library.TF_LoadSessionFromSavedModel(
                library.TF_NewSessionOptions(),
                None,
                os.fsencode(folder),
                tags,
                1,
                self.graph,
                None,
                status,
            )
        )

    def endpoints(self, names):
        """Tensor names such as `"a:0"` as an array of `TF_Output`."""
        found = (Endpoint * len(names))()
        for place, name in enumerate(names):
            operation, _, index = name.partition(":")
            pointer = self.library.TF_GraphOperationByName(
                self.graph, operation.encode()
            )
            if not pointer:
                raise CApiError(f"the graph has no operation {operation}")
            found[place] = Endpoint(pointer, int(index or 0))
        return found

    def run(self, input_names, tensors, output_names):
        """Outputs as `(description, bytes)` each."""
        library = self.library
        feeds = (Pointer * len(tensors))(*tensors)
        results = (Pointer * len(output_names))()
        library.checked(
            lambda status: library.TF_SessionRun(
                self.session,
                None,
                self.endpoints(input_names),
                feeds,
                len(tensors),
                self.endpoints(output_names),
                results,
                len(output_names),
                None,
                0,
                None,
                status,
            )
        )
        outputs = []
        for tensor in results:
            outputs.append(self._read(tensor))
            library.TF_DeleteTensor(tensor)
        return outputs

    def make_tensor(self, description, data):
        """A tensor from the description and the bytes of a request."""
        library = self.library
        shape = (ctypes.c_int64 * len(description["shape"]))(*description["shape"])
        number = DTYPES[description["dtype"]]
        lengths = description.get("lengths", [])
        size = STRING_BYTES * len(lengths) if number == STRING else len(data)
        tensor = library.TF_AllocateTensor(number, shape, len(shape), size)
        address = library.TF_TensorData(tensor)
        if number != STRING:
            ctypes.memmove(address, data, len(data))
            return tensor
        start = 0
        for place, length in enumerate(lengths):
            string = address + STRING_BYTES * place
            library.TF_StringInit(string)
            library.TF_StringCopy(string, data[start : start + length], length)
            start += length
        return tensor

    def delete_tensor(self, tensor):
        """Gives the memory of a tensor back, with what its strings hold."""
        library = self.library
        if library.TF_TensorType(tensor) == STRING:
            address = library.TF_TensorData(tensor)
            for place in range(library.TF_TensorByteSize(tensor) // STRING_BYTES):
                library.TF_StringDealloc(address + STRING_BYTES * place)
        library.TF_DeleteTensor(tensor)

    def _read(self, tensor):
        library = self.library
        shape = [
            library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))
        ]
        dtype = NAMES[library.TF_TensorType(tensor)]
        data = ctypes.string_at(
            library.TF_TensorData(tensor), library.TF_TensorByteSize(tensor)
        )
        return {"dtype": dtype, "shape": shape}, data


def answer(session, request, stream):
    """Reads the inputs of a request from the stream and runs it."""
    tensors = []
    for description in request["inputs"]:
        tensors.append(
            session.make_tensor(description, _read_data(description, stream))
        )
    try:
        return _run(session, request, tensors)
    finally:
        for tensor in tensors:
            session.delete_tensor(tensor)


def _run(session, request, tensors):
    names = [description["tensor"] for description in request["inputs"]]

    def once():
        return session.run(names, tensors, request["outputs"])

    outputs = once()
    differing = _repeat(
        once, outputs, request.get("repeat", 1) - 1, request.get("threads", 1)
    )
    header = {"outputs": [description for description, _ in outputs]}
    return {**header, "differing": differing}, [data for _, data in outputs]


def _repeat(once, first, times, threads):
    """Runs `times` more in threads; the number of answers unlike the first."""
    differing, failures = [], []

    def work(share):
        try:
            for _ in range(share):
                if once() != first:
                    differing.append(1)
        except CApiError as error:
            failures.append(error)

    shares = [times // threads + (i < times % threads) for i in range(threads)]
    workers = [threading.Thread(target=work, args=(share,)) for share in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return len(differing)


def _read_data(description, stream):
    if description["dtype"] == "string":
        return stream.read(sum(description["lengths"]))
    size = 4 if description["dtype"] == "float32" else 1
    for length in description["shape"]:
        size *= length
    return stream.read(size)


def main():
    """Loads the model, says so with a line, and answers until the input ends."""
    folder, model = sys.argv[1:]
    # Whatever libraries write to standard output must not mix with the answers.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def reply(header, parts=()):
        replies.write(json.dumps(header).encode() + b"\n")
        for part in parts:
            replies.write(part)
        replies.flush()

    try:
        library = Library(folder)
        library.disable_xla()
        session = Session(library, model)
    except CApiError as error:
        reply({"error": str(error)})
        return 1
    reply({"loaded": model, "modules": sorted(sys.modules)})
    requests = sys.stdin.buffer
    while line := requests.readline():
        try:
            reply(*answer(session, json.loads(line), requests))
        except CApiError as error:
            reply({"error": str(error)})
    return 0


if __name__ == "__main__":
    status = main()
    # The shared libraries have no orderly end outside of TensorFlow's own package.
    sys.stderr.flush()
    os._exit(status)
