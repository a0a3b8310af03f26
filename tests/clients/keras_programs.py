"""Programs as outsiders write them: Keras layers and a Keras optimizer, held by a `tf.Module`.

They take single samples (T = 1), tell five classes apart and are taught one activity at a time.
Each function here builds one, saves it and returns its path; equal ones have equal variables.
"""

import keras
import tensorflow as tf

from tests.clients.made_programs import saved

CLASSES = 5
X = tf.TensorSpec([None, 1, 3], tf.float32, "sensor_data")
WHOLE = tf.TensorSpec([None, 1, 3], tf.int32, "sensor_data")
Y = tf.TensorSpec([None], tf.int32, "labels")


class Tracker(tf.Module):
    """Keras layers that learn by Adam, and the last activity that they were taught."""

    def __init__(self, layers, rows=None, ending=()):
        """Build it.

        Args:
            layers: Keras layers from samples to logits.
            rows: how many it takes at once, behind the `None` of its signatures; None for any.
            ending: the shape of what it says of one row.
        """
        super().__init__()
        self.rows, self.ending = rows, ending
        self.model = keras.Sequential([keras.layers.Input(batch_shape=(rows, 1, 3)), *layers])
        self.optimizer = keras.optimizers.Adam(0.02)
        self.optimizer.build(self.model.trainable_variables)
        self.tracked = tf.Variable(-1, trainable=False)

    def logits(self, sensor_data):
        return self.model(tf.ensure_shape(sensor_data, [self.rows, 1, 3]))

    def say(self, sensor_data):
        rows = tf.shape(sensor_data)[0]
        said = tf.argmax(self.logits(sensor_data), axis=1, output_type=tf.int32)
        # The slice keeps a fixed number of rows out of the signature's output.
        return tf.reshape(said[:rows], [rows, *self.ending])

    def follow(self, label):
        self.tracked.assign(label)

    def step(self, sensor_data, labels):
        tf.debugging.assert_equal(labels, labels[0], "more than one activity")
        self.follow(labels[0])
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(
                labels, self.logits(sensor_data), from_logits=True
            )
            loss = tf.reduce_mean(losses)
        weights = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss, losses

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        return {"predictions": self.say(sensor_data)}

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        loss, _ = self.step(sensor_data, labels)
        return {"loss": loss}


class Dense(Tracker):
    """Two dense layers."""

    def __init__(self, rows=None, ending=()):
        keras.utils.set_random_seed(11)
        layers = [
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(CLASSES),
        ]
        super().__init__(layers, rows, ending)


class Lstm(Tracker):
    """A stateful LSTM, 32 samples side by side; what it remembers ends with the activity."""

    def __init__(self):
        keras.utils.set_random_seed(12)
        self.lstm = keras.layers.LSTM(16, stateful=True)
        super().__init__([self.lstm, keras.layers.Dense(CLASSES)], rows=32)

    def follow(self, label):
        if self.tracked != label:
            self.lstm.reset_state()
        self.tracked.assign(label)


def dense_of_32(path):
    return saved(path, Dense(rows=32, ending=(1,)))


def dense_any(path):
    return saved(path, Dense())


def lstm_of_32(path):
    return saved(path, Lstm())


class Fractions(Dense):
    """Broken: its predictions are no integers."""

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        return {"predictions": tf.cast(self.say(sensor_data), tf.float32)}


class Scores(Dense):
    """Broken: it says a score for each class in place of a class for each sample."""

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        return {"predictions": tf.cast(100 * self.logits(sensor_data), tf.int32)}


class LossByRow(Dense):
    """Broken: its loss is one number for each row."""

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        _, losses = self.step(sensor_data, labels)
        return {"loss": losses}


class WholeNumbers(Dense):
    """Broken: it takes integers."""

    @tf.function(input_signature=[WHOLE])
    def predict(self, sensor_data):
        return {"predictions": self.say(tf.cast(sensor_data, tf.float32))}

    @tf.function(input_signature=[WHOLE, Y])
    def learn(self, sensor_data, labels):
        loss, _ = self.step(tf.cast(sensor_data, tf.float32), labels)
        return {"loss": loss}


class Unteachable(Dense):
    """Broken: it loads and predicts, but no `learn` ever ends well."""

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        # Two constants that differ would be found out while the function is traced.
        tf.debugging.assert_equal(tf.size(labels), -1, "nothing can be learnt")
        loss, _ = self.step(sensor_data, labels)
        return {"loss": loss}


def dense_of_20(path):
    return saved(path, Dense(rows=20))


def fractions(path):
    return saved(path, Fractions())


def scores(path):
    return saved(path, Scores())


def loss_by_row(path):
    return saved(path, LossByRow())


def whole_numbers(path):
    return saved(path, WholeNumbers())


def unteachable(path):
    return saved(path, Unteachable())
