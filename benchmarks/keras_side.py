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


if __name__ == "__main__":
    print(globals()[sys.argv[1]](*sys.argv[2:]))
