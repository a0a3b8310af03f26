"""Programs that others might have written, saved with the two signatures of the contract."""

import tensorflow as tf

X = tf.TensorSpec([None, 10, 3], tf.float32, "sensor_data")
Y = tf.TensorSpec([None], tf.int32, "labels")


class Linear(tf.Module):
    """The least that runs as a device: a line through each window's mean, by gradient descent."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(tf.zeros([3, 2]))
        self.steps = tf.Variable(0, trainable=False)

    def logits(self, sensor_data):
        return tf.reduce_mean(sensor_data, axis=1) @ self.weights

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, self.logits(sensor_data)
            )
            loss = tf.reduce_mean(losses)
        self.weights.assign_sub(0.5 * tape.gradient(loss, self.weights))
        self.steps.assign_add(1)
        return {"loss": loss}

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        said = tf.argmax(self.logits(sensor_data), axis=1, output_type=tf.int32)
        return {"predictions": said}


class Restless(tf.Module):
    """A program with momentum that counts its predictions and lets them move its logits."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(tf.ones([3, 2]))
        self.momentum = tf.Variable(tf.zeros([3, 2]), trainable=False)
        self.predictions = tf.Variable(0.0, trainable=False)

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        self.predictions.assign_add(1.0)
        said = tf.reduce_mean(sensor_data, 1) @ self.weight + self.predictions * [0.01, 0.0]
        said_class = tf.argmax(said, axis=1, output_type=tf.int32)
        return {"predictions": said_class, "logits": said}

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        with tf.GradientTape() as tape:
            said = tf.reduce_mean(sensor_data, 1) @ self.weight
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, said)
            loss = tf.reduce_mean(losses)
        self.momentum.assign(0.9 * self.momentum + tape.gradient(loss, self.weight))
        self.weight.assign_sub(0.1 * self.momentum)
        return {"loss": loss}


def saved(path, module=None, **signatures):
    """Save a module, or another function in place of one of its own, or None to leave one out."""
    module = module or Linear()
    functions = {"learn": module.learn, "predict": module.predict} | signatures
    chosen = {name: f for name, f in functions.items() if f is not None}
    tf.saved_model.save(module, str(path), signatures=chosen)
    return path
