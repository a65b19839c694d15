"""The members of a ``.keras`` archive (keras/src/saving/saving_lib.py).

``config.json`` holds the serialized model with ``compile_config`` and ``build_config``;
``metadata.json`` the version of Keras; ``model.weights.h5`` every object's variables in a group
``<path of attributes>/vars``; ``assets/`` the vocabularies of layers, by the same paths.
"""

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
#: In the folder of a large preset of KerasHub: the index of a set of files of weights.
WEIGHTS_SET = "model.weights.json"
NPZ_WEIGHTS = "model.weights.npz"
ASSETS = "assets/"
VARS = "vars"
#: The attribute of such a group that holds the object's name.
NAME = "name"
OPTIMIZER = "optimizer"
#: One that scales losses, and the one that it wraps.
LOSS_SCALE = "LossScaleOptimizer"
INNER_OPTIMIZER = "optimizer/inner_optimizer"
#: How tf_keras 2.12 and 2.13 call a model's layers.
OLD_LAYERS = "_layer_checkpoint_dependencies"
