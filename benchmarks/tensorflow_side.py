"""The cases with TensorFlow and tf_keras. Prints seconds."""

import sys
import time

START = time.perf_counter()

from timing import arrays, batch, peak, saving, seconds, stack  # noqa: E402


def load_graph(folder):
    import tensorflow as tf

    return seconds(lambda: tf.saved_model.load(f"{folder}/resnet50"), repeat=3)


def load_keras(folder):
    import tf_keras

    return seconds(lambda: tf_keras.models.load_model(f"{folder}/resnet50"), repeat=2)


def first_graph(folder):
    import tensorflow as tf

    signature = tf.saved_model.load(f"{folder}/resnet50").signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    [y.numpy() for y in signature(**{name: tf.constant(batch("resnet50", 1))}).values()]
    return time.perf_counter() - START


def first_keras(folder):
    import tf_keras

    model = tf_keras.models.load_model(f"{folder}/resnet50")
    model.predict(batch("resnet50", 1), verbose=0)
    return time.perf_counter() - START


def read_bundle(folder, name):
    import tensorflow as tf

    def read():
        reader = tf.train.load_checkpoint(f"{folder}/{name}")
        for key in reader.get_variable_to_shape_map():
            reader.get_tensor(key)

    return seconds(read, repeat=3)


def save_model(folder, suffix):
    import tf_keras

    model = tf_keras.models.load_model(f"{folder}/resnet50")
    form = "tf" if not suffix else suffix[1:]
    return saving(folder, lambda path: model.save(f"{path}{suffix}", save_format=form))


def save_bundle(folder, count, size, *_):
    import tensorflow as tf

    weights = {name: tf.Variable(value) for name, value in arrays(int(count), int(size)).items()}
    checkpoint = tf.train.Checkpoint(**weights)
    return saving(folder, checkpoint.write)


def save_memory(folder, count, size):
    import tensorflow as tf

    weights = {f"v{i:05}": tf.Variable(tf.fill([int(size)], float(i))) for i in range(int(count))}
    saving(folder, tf.train.Checkpoint(v=weights["v00000"]).write)
    before = peak()
    saving(folder, tf.train.Checkpoint(**weights).write)
    return peak() - before


def list_variables(folder, count):
    import tensorflow as tf

    return seconds(lambda: tf.train.list_variables(f"{folder}/small-{count}"), repeat=3)


def list_memory(folder, count):
    import tensorflow as tf

    before = peak()
    listed = tf.train.list_variables(f"{folder}/small-{count}")
    taken = peak() - before
    del listed
    return taken


def objects(folder, what, count):
    import tensorflow as tf

    values = [tf.Variable(tf.ones(4)) for _ in range(int(count))]
    checkpoint = tf.train.Checkpoint(values=values)
    path = f"{folder}/objects"
    if what == "write":
        return seconds(lambda: checkpoint.write(path))
    checkpoint.write(path)
    return seconds(lambda: checkpoint.read(path))


def layers(folder, what, kind, count, suffix=""):
    import tf_keras

    model = stack(tf_keras, kind, int(count))
    form = "tf" if not suffix else suffix[1:]
    if what == "save":
        return saving(folder, lambda path: model.save(f"{path}{suffix}", save_format=form), 3, 1)
    path = f"{folder}/layers{suffix}"
    model.save(path, save_format=form)
    return seconds(lambda: tf_keras.models.load_model(path), repeat=3)


def throughput(folder, model, size):
    import tensorflow as tf

    signature = tf.saved_model.load(f"{folder}/{model}").signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    x = tf.constant(batch(model, int(size)))
    return seconds(
        lambda: [y.numpy() for y in signature(**{name: x}).values()], repeat=10, warmup=3
    )


def live(_folder, what, name, size):
    import tf_keras
    from live import seconds as live_seconds

    return live_seconds(tf_keras, lambda model: model, what, name, int(size))


if __name__ == "__main__":
    print(globals()[sys.argv[1]](*sys.argv[2:]))
