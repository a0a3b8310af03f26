"""Programs that do more than compute, as somebody might who wants them to be loaded."""

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.clients.made_programs import Linear, X, saved


class Writes(Linear):
    """Writes a file while it predicts."""

    def __init__(self, file):
        super().__init__()
        self.file = str(file)

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        tf.io.write_file(self.file, "seen")
        return {"predictions": tf.zeros([tf.shape(sensor_data)[0]], tf.int32)}


class _Door(tf.saved_model.experimental.TrackableResource):
    """A resource whose initialiser writes a file as soon as the SavedModel is loaded."""

    def __init__(self, file):
        super().__init__()
        self.file = str(file)

    def _create_resource(self):
        return tf.raw_ops.MutexV2(container="", shared_name="door")

    def _initialize(self):
        tf.io.write_file(self.file, "loaded")


class WritesWhenLoaded(Linear):
    """Writes a file as soon as it is loaded."""

    def __init__(self, file):
        super().__init__()
        self.door = _Door(file)

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        door = tf.raw_ops.MutexLock(mutex=self.door.resource_handle)  # so that it is saved
        with tf.control_dependencies([door]):
            return {"predictions": tf.zeros([tf.shape(sensor_data)[0]], tf.int32)}


def predicting(touch):
    """Make a program that does something before it predicts."""

    class Touches(Linear):
        @tf.function(input_signature=[X])
        def predict(self, sensor_data):
            found = touch(sensor_data)
            with tf.control_dependencies([found] if isinstance(found, tf.Operation) else []):
                return {"predictions": tf.zeros([tf.shape(sensor_data)[0]], tf.int32)}

    return Touches()


class Knows(Linear):
    """Looks something up in a table that it fills when it is loaded."""

    def __init__(self, initializer):
        super().__init__()
        self.table = tf.lookup.StaticHashTable(initializer, default_value=-1)

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        found = self.table.lookup(tf.constant("walking"))
        rows = tf.shape(sensor_data)[0]
        return {"predictions": tf.fill([rows], tf.cast(found, tf.int32))}


def changed(path, change):
    """Save the least program, and change its protobuf: a function of its one MetaGraphDef."""
    saved(path)
    file = path / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())
    return path


def function_of(graph, part):
    """Return the function of a graph whose name has a part."""
    return next(f for f in graph.graph_def.library.function if part in f.signature.name)


def node_that_calls(graph, part):
    """Return the node of the main graph that calls a function whose name has a part."""
    return next(n for n in graph.graph_def.node if part in n.attr["f"].func.name)
