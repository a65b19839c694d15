"""The same files with Keras 3. Prints seconds."""

import gc
import sys

from timing import saving, seconds


def load_file(folder, suffix):
    import keras

    return seconds(lambda: keras.saving.load_model(f"{folder}/one{suffix}"), before=gc.collect)


def save_model(folder, suffix):
    import keras

    model = keras.saving.load_model(f"{folder}/one.keras")
    return saving(folder, lambda path: model.save(f"{path}{suffix}"))


def live(_folder, what, name, size):
    import keras
    from live import seconds as live_seconds

    return live_seconds(keras, lambda model: model, what, name, int(size))


if __name__ == "__main__":
    print(globals()[sys.argv[1]](*sys.argv[2:]))
