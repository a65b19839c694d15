"""Every use of what is not public in Keras, one file a subject.

Nothing else may touch it; `tests/unit/keras_private` names what each use needs.
Keras is imported here, for the rooms that people import first: a backend that is not installed is
told before.
"""

from hozon.backend import require

require()

import keras as keras  # noqa: E402
