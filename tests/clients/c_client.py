"""A client of TensorFlow's C API, as a binding for another language is one.

`python c_client.py` reads what to do from standard input, as JSON, and answers so. It knows the
SavedModel by its folder and by the names of operations alone; TensorFlow's Python is not imported.
"""

import ctypes
import hmac  # noqa: F401  (with ssl: before TensorFlow's own copy of their library is there)
import json
import ssl  # noqa: F401
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.random

FLOAT, INT32 = 1, 3  # TF_DataType
CODES = {np.dtype(np.float32): FLOAT, np.dtype(np.int32): INT32}
DTYPES = {code: dtype for dtype, code in CODES.items()}


class Output(ctypes.Structure):
    """TF_Output: one result of an operation."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def load_library():
    """Load the library that the installed package brings."""
    folder = Path(find_spec("tensorflow").submodule_search_locations[0])
    ctypes.CDLL(str(folder / "libtensorflow_framework.so.2"), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"), ctypes.RTLD_GLOBAL)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name in ("NewStatus", "NewGraph", "NewSessionOptions"):
        getattr(library, f"TF_{name}").restype = pointer
    library.TF_Message.restype = ctypes.c_char_p
    library.TF_Message.argtypes = library.TF_GetCode.argtypes = [pointer]
    library.TF_LoadSessionFromSavedModel.restype = pointer
    library.TF_LoadSessionFromSavedModel.argtypes = [
        pointer, pointer, ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int,
        pointer, pointer, pointer,
    ]  # fmt: skip
    library.TF_GraphOperationByName.restype = pointer
    library.TF_GraphOperationByName.argtypes = [pointer, ctypes.c_char_p]
    library.TF_AllocateTensor.restype = pointer
    library.TF_AllocateTensor.argtypes = [ctypes.c_int, pointer, ctypes.c_int, size]
    library.TF_TensorData.restype = pointer
    library.TF_TensorByteSize.restype = size
    library.TF_Dim.restype = ctypes.c_int64
    library.TF_Dim.argtypes = [pointer, ctypes.c_int]
    for name in ("TensorData", "TensorByteSize", "TensorType", "NumDims", "DeleteTensor"):
        getattr(library, f"TF_{name}").argtypes = [pointer]
    library.TF_SessionRun.restype = None
    library.TF_SessionRun.argtypes = [
        pointer, pointer, pointer, pointer, ctypes.c_int, pointer, pointer, ctypes.c_int,
        pointer, ctypes.c_int, pointer, pointer,
    ]  # fmt: skip
    return library


class Session:
    """A SavedModel that was loaded with the tag `serve`."""

    def __init__(self, library, folder):
        self._library, self._status = library, library.TF_NewStatus()
        self._graph = library.TF_NewGraph()
        tags = (ctypes.c_char_p * 1)(b"serve")
        options = library.TF_NewSessionOptions()
        self._session = library.TF_LoadSessionFromSavedModel(
            options, None, folder.encode(), tags, 1, self._graph, None, self._status
        )
        self._check()

    def run(self, feeds, fetches):
        """Feed arrays by the names of tensors, such as "learn_labels:0", and fetch others."""
        given = [self._tensor(np.ascontiguousarray(value)) for value in feeds.values()]
        inputs = (Output * len(feeds))(*(self._output(name) for name in feeds))
        outputs = (Output * len(fetches))(*(self._output(name) for name in fetches))
        values = (ctypes.c_void_p * len(given))(*given)
        results = (ctypes.c_void_p * len(fetches))()
        self._library.TF_SessionRun(
            self._session, None, inputs, values, len(given), outputs, results, len(fetches),
            None, 0, None, self._status,
        )  # fmt: skip
        self._check()
        found = [self._array(result) for result in results]
        for tensor in (*given, *results):
            self._library.TF_DeleteTensor(tensor)
        return found

    def _output(self, name):
        operation, _, index = name.partition(":")
        found = self._library.TF_GraphOperationByName(self._graph, operation.encode())
        if not found:
            raise KeyError(f"no operation {operation!r} in the graph")
        return Output(found, int(index or 0))

    def _tensor(self, value):
        shape = (ctypes.c_int64 * value.ndim)(*value.shape)
        code = CODES[value.dtype]
        tensor = self._library.TF_AllocateTensor(code, shape, value.ndim, value.nbytes)
        ctypes.memmove(self._library.TF_TensorData(tensor), value.ctypes.data, value.nbytes)
        return tensor

    def _array(self, tensor):
        library = self._library
        shape = [library.TF_Dim(tensor, i) for i in range(library.TF_NumDims(tensor))]
        data = ctypes.string_at(library.TF_TensorData(tensor), library.TF_TensorByteSize(tensor))
        return np.frombuffer(data, DTYPES[library.TF_TensorType(tensor)]).reshape(shape)

    def _check(self):
        if self._library.TF_GetCode(self._status):
            raise RuntimeError(self._library.TF_Message(self._status).decode())


def main():
    """Learn as often as asked, and predict before and after."""
    ask = json.load(sys.stdin)
    session = Session(load_library(), ask["folder"])
    x, labels = np.array(ask["x"], np.float32), np.array(ask["labels"], np.int32)

    def predict():
        (said,) = session.run({ask["predict"]["x"]: x}, [ask["predict"]["predictions"]])
        return said.tolist()

    before, losses = predict(), []
    for _ in range(ask["steps"]):
        feeds = {ask["learn"]["x"]: x, ask["learn"]["labels"]: labels}
        (loss,) = session.run(feeds, [ask["learn"]["loss"]])
        losses.append(float(loss))
    json.dump({"before": before, "losses": losses, "after": predict()}, sys.stdout)


if __name__ == "__main__":
    main()
