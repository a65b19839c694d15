"""Where Keras keeps what in an H5 file (keras ``legacy_h5_format.py``, tf_keras
``hdf5_format.py``, keras 1 ``engine/topology.py``)."""

from __future__ import annotations

#: Root attributes of a whole model.
CONFIG, TRAINING, VERSION, BACKEND = "model_config", "training_config", "keras_version", "backend"
#: Groups of a whole model; a file of weights has what is in the first at its root.
WEIGHTS, OPTIMIZER = "model_weights", "optimizer_weights"
#: How the model was compiled, in Keras 3's words, where Keras 2 has none for it.
TRAINING_KERAS3 = "hozon_training_config"
#: The optimizer's variables in a file for Keras 3, which cannot train on after it has read the
#: other group: it builds the optimizer for none of the model's layers.
OPTIMIZER_KERAS3 = "hozon_optimizer_weights"
#: The layers in their order, and each layer's or optimizer's variables in theirs.
LAYER_NAMES, WEIGHT_NAMES = "layer_names", "weight_names"
#: The group of the variables that a model itself made.
TOP_LEVEL = "top_level_model_weights"
#: Weights of Keras before 1.0: groups ``layer_0``, ``layer_1`` ... with ``param_0`` ...
OLD_LAYERS, OLD_WEIGHTS = "nb_layers", "nb_params"
#: What marks a `.weights.h5` file of Keras 3, which is another form.
KERAS3_WEIGHTS = ("layers", "_layer_checkpoint_dependencies", "vars")
