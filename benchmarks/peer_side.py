"""What other libraries do with the same work. Prints seconds."""

import os
import sys

from timing import arrays, saving


def safetensors(folder, count, size, *_):
    from safetensors.numpy import save_file

    weights = arrays(int(count), int(size))
    return saving(folder, lambda path: save_file(weights, path))


def plain(folder, count, size, *_):
    """One write() for each array."""
    weights = arrays(int(count), int(size))

    def save(path):
        file = os.open(path, os.O_CREAT | os.O_WRONLY)
        for value in weights.values():
            os.write(file, value)
        os.close(file)

    return saving(folder, save)


if __name__ == "__main__":
    print(globals()[sys.argv[1]](*sys.argv[2:]))
