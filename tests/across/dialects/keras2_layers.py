# ruff: noqa: F821
"""Run by the oracle: a model file of each layer of tf_keras, arguments off their defaults.

`keras` is tf_keras, `folder` the place for the files. `out` receives inputs and outputs by case,
the arguments that each class was given other values than its defaults for, and all there are.
"""

import inspect

given = {}


class Recorded:
    """The layers of tf_keras; what is made of them, and with which arguments, is kept."""

    def __getattr__(self, name):
        kind = getattr(keras.layers, name)

        def make(*args, **kwargs):
            note(kind, args, kwargs)
            return kind(*args, **kwargs)

        return make


def note(kind, args, kwargs):
    signature = inspect.signature(kind.__init__)
    known = {k: v for k, v in kwargs.items() if k in signature.parameters}
    bound = signature.bind(None, *args, **known).arguments
    found = given.setdefault(kind.__name__, set())
    for name, value in bound.items():
        default = signature.parameters[name].default
        if name not in ("self", "args", "kwargs") and repr(value) != repr(default):
            found.add(name)


L = Recorded()


def weights(*names, activity=True):
    """Initializers, regularizers and constraints of some weights, and the activity's."""
    kinds = (
        ("initializer", "random_normal"),
        ("regularizer", "l1_l2"),
        ("constraint", "non_neg"),
    )
    made = {f"{name}_{kind}": value for name in names for kind, value in kinds}
    return {**made, "activity_regularizer": "l2"} if activity else made


KERNEL = {**weights("kernel", "bias"), "activation": "tanh"}
DEPTHWISE = {**weights("depthwise", "bias"), "activation": "tanh"}
SEPARABLE = {**weights("depthwise", "pointwise", "bias"), "activation": "tanh"}
NORM = weights("beta", "gamma", activity=False)
CELL = {
    **weights("kernel", "recurrent", "bias", activity=False),
    "activation": "softsign",
    "dropout": 0.25,
    "recurrent_dropout": 0.2,
}
RNN = {
    **CELL,
    "activity_regularizer": "l2",
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
}
FIRST = "channels_first"
TEXT, INTS, BOOLS = "text", "int", "bool"


def f(*shape):
    return (shape, "float")


def cases():
    """Name, inputs, and what makes the layer, or the outputs, of them."""
    for rank, plural in ((1, (6,)), (2, (6, 5)), (3, (5, 4, 3))):
        yield from convolutions(rank, plural)
        yield from pools(rank, plural)
        yield from sizes(rank, plural)
    yield from recurrent()
    yield from dense()
    yield from small()
    yield from images()
    yield from text()


def convolutions(rank, space):
    channels = (*space, 4)
    first = (4, *space)
    conv, transpose = f"Conv{rank}D", f"Conv{rank}DTranspose"
    yield (
        conv,
        [f(*channels)],
        lambda: getattr(L, conv)(4, 2, strides=2, padding="same", groups=2, **KERNEL),
    )
    yield conv, [f(*channels)], lambda: getattr(L, conv)(3, 2, dilation_rate=2, use_bias=False)
    yield conv, [f(*first)], lambda: getattr(L, conv)(3, 2, data_format=FIRST)
    yield (
        transpose,
        [f(*channels)],
        lambda: getattr(L, transpose)(3, 3, strides=2, padding="same", output_padding=1, **KERNEL),
    )
    yield (
        transpose,
        [f(*channels)],
        lambda: getattr(L, transpose)(3, 2, dilation_rate=2 if rank < 3 else 1, use_bias=False),
    )
    yield transpose, [f(*first)], lambda: getattr(L, transpose)(3, 2, data_format=FIRST)
    lstm = f"ConvLSTM{rank}D"
    yield (
        lstm,
        [f(3, *space, 2)],
        lambda: getattr(L, lstm)(
            3, 2, padding="same", recurrent_activation="sigmoid", unit_forget_bias=False, **RNN
        ),
    )
    yield lstm, [f(3, *space, 2)], lambda: getattr(L, lstm)(2, 2, strides=2, use_bias=False)
    yield (
        lstm,
        [f(3, *space, 2)],
        lambda: getattr(L, lstm)(2, 2, dilation_rate=2 if rank < 3 else 1),
    )
    yield lstm, [((2, 3, *space, 2), "fixed")], lambda: getattr(L, lstm)(2, 2, stateful=True)
    yield lstm, [f(3, 2, *space)], lambda: getattr(L, lstm)(2, 2, data_format=FIRST)
    if rank == 3:
        return
    depth, separable = f"DepthwiseConv{rank}D", f"SeparableConv{rank}D"
    for kind, words, extra in ((depth, (2,), DEPTHWISE), (separable, (5, 2), SEPARABLE)):
        make = lambda *a, kind=kind, **k: getattr(L, kind)(*a, **k)
        yield (
            kind,
            [f(*channels)],
            lambda make=make, words=words, extra=extra: make(
                *words, strides=2, padding="same", depth_multiplier=2, **extra
            ),
        )
        yield (
            kind,
            [f(*channels)],
            lambda make=make, words=words: make(*words, dilation_rate=2, use_bias=False),
        )
        yield kind, [f(*first)], lambda make=make, words=words: make(*words, data_format=FIRST)
    local = f"LocallyConnected{rank}D"
    yield local, [f(*channels)], lambda: getattr(L, local)(3, 2, strides=2, **KERNEL)
    yield (
        local,
        [f(*channels)],
        lambda: getattr(L, local)(3, 2, padding="same", use_bias=False, implementation=2),
    )
    yield local, [f(*first)], lambda: getattr(L, local)(3, 2, data_format=FIRST, implementation=3)


def pools(rank, space):
    channels, first = (*space, 3), (3, *space)
    for kind in ("MaxPooling", "AveragePooling"):
        make = lambda *a, kind=kind, **k: getattr(L, f"{kind}{rank}D")(*a, **k)
        yield kind, [f(*channels)], lambda make=make: make(3, strides=1, padding="same")
        yield kind, [f(*first)], lambda make=make: make(2, data_format=FIRST)
        whole = kind.replace("Pooling", f"Pooling{rank}D")
        top = lambda *a, whole=whole, **k: getattr(L, f"Global{whole}")(*a, **k)
        yield whole, [f(*channels)], lambda top=top: top(keepdims=True)
        yield whole, [f(*first)], lambda top=top: top(data_format=FIRST)


def sizes(rank, space):
    channels, first = (*space, 2), (2, *space)
    edges = tuple((1, 0) for _ in space)
    pair = edges if rank > 1 else (1, 0)
    more = {} if rank == 1 else {"data_format": FIRST}
    shape = channels if rank == 1 else first
    yield "Cropping", [f(*shape)], lambda: getattr(L, f"Cropping{rank}D")(pair, **more)
    yield "ZeroPadding", [f(*shape)], lambda: getattr(L, f"ZeroPadding{rank}D")(pair, **more)
    if rank != 2:
        yield "UpSampling", [f(*shape)], lambda: getattr(L, f"UpSampling{rank}D")(3, **more)
        return
    for interpolation in ("nearest", "bilinear", "bicubic", "area", "lanczos3", "gaussian"):
        yield (
            "UpSampling2D",
            [f(*channels)],
            lambda i=interpolation: L.UpSampling2D((3, 2), interpolation=i),
        )
    yield "UpSampling2D", [f(*first)], lambda: L.UpSampling2D(data_format=FIRST)


def recurrent():
    x = [f(4, 3)]
    yield "SimpleRNN", x, lambda: L.SimpleRNN(3, **RNN)
    yield "SimpleRNN", x, lambda: L.SimpleRNN(3, use_bias=False, unroll=True)
    yield "GRU", x, lambda: L.GRU(3, recurrent_activation="hard_sigmoid", **RNN)
    yield "GRU", x, lambda: L.GRU(3, use_bias=False, unroll=True, reset_after=False)
    yield (
        "LSTM",
        x,
        lambda: L.LSTM(3, recurrent_activation="hard_sigmoid", unit_forget_bias=False, **RNN),
    )
    yield "LSTM", x, lambda: L.LSTM(3, use_bias=False, unroll=True)
    for kind in ("SimpleRNN", "GRU", "LSTM"):
        make = lambda kind=kind, **k: getattr(L, kind)(3, **k)
        yield kind, [((2, 4, 3), "fixed")], lambda make=make: make(stateful=True)
        if kind != "SimpleRNN":
            yield (
                kind,
                [((2, 4, 3), "fixed")],
                lambda make=make: make(time_major=True, return_sequences=True),
            )
    cells = {
        "SimpleRNNCell": {},
        "GRUCell": {"recurrent_activation": "hard_sigmoid"},
        "LSTMCell": {"recurrent_activation": "hard_sigmoid", "unit_forget_bias": False},
    }
    for name, extra in cells.items():
        cell = lambda name=name, **k: getattr(L, name)(3, **k)
        yield (
            name,
            x,
            lambda cell=cell, extra=extra: L.RNN(
                cell(**CELL, **extra), return_sequences=True, return_state=True, go_backwards=True
            ),
        )
        yield name, x, lambda cell=cell: L.RNN(cell(use_bias=False), unroll=True)
    yield "GRUCell", x, lambda: L.RNN(L.GRUCell(3, reset_after=False))
    yield (
        "RNN",
        [((2, 4, 3), "fixed")],
        lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(2)]), stateful=True),
    )
    yield (
        "RNN",
        [((2, 4, 3), "fixed")],
        lambda: L.RNN([L.SimpleRNNCell(3), L.SimpleRNNCell(2)], time_major=True),
    )
    for mode in ("sum", "mul", "ave", None):
        yield "Bidirectional", x, lambda mode=mode: L.Bidirectional(L.GRU(3), merge_mode=mode)
    yield (
        "Bidirectional",
        x,
        lambda: L.Bidirectional(
            L.LSTM(3, return_sequences=True),
            backward_layer=L.GRU(2, go_backwards=True, return_sequences=True),
        ),
    )
    values = [np.full(s, v) for v in (0.5, 0.25) for s in ((3, 2), (2, 2), (2,))]
    yield "Bidirectional", x, lambda: L.Bidirectional(L.SimpleRNN(2), weights=values)
    yield "TimeDistributed", [f(4, 5, 3)], lambda: L.TimeDistributed(L.Dense(2, activation="relu"))
    yield "TimeDistributed", [f(3, 6, 6, 2)], lambda: L.TimeDistributed(L.Conv2D(2, 3))


def dense():
    yield "Dense", [f(4)], lambda: L.Dense(3, **KERNEL)
    yield "Dense", [f(5, 4)], lambda: L.Dense(3, use_bias=False, trainable=False, name="named")
    yield (
        "EinsumDense",
        [f(5, 4)],
        lambda: L.EinsumDense("abc,cd->abd", output_shape=(None, 3), bias_axes="d", **KERNEL),
    )
    yield (
        "Embedding",
        [((5,), INTS)],
        lambda: L.Embedding(7, 3, mask_zero=True, input_length=5, **weights("embeddings")),
    )
    yield (
        "SpectralNormalization",
        [f(4)],
        lambda: L.SpectralNormalization(L.Dense(3), power_iterations=2),
    )
    yield (
        "BatchNormalization",
        [f(4, 5)],
        lambda: L.BatchNormalization(
            axis=1,
            momentum=0.5,
            epsilon=0.1,
            **NORM,
            moving_mean_initializer="random_normal",
            moving_variance_initializer="ones",
        ),
    )
    yield (
        "BatchNormalization",
        [f(4, 5)],
        lambda: L.BatchNormalization(
            center=False,
            scale=False,
            moving_mean_initializer="random_normal",
            moving_variance_initializer=keras.initializers.Constant(0.5),
            synchronized=True,
        ),
    )
    yield (
        "LayerNormalization",
        [f(4, 5)],
        lambda: L.LayerNormalization(axis=(1, 2), epsilon=0.1, **NORM),
    )
    yield (
        "LayerNormalization",
        [f(4, 5)],
        lambda: L.LayerNormalization(axis=1, center=False, scale=False),
    )
    yield (
        "GroupNormalization",
        [f(5, 6)],
        lambda: L.GroupNormalization(groups=3, epsilon=0.1, **NORM),
    )
    yield (
        "GroupNormalization",
        [f(6, 5)],
        lambda: L.GroupNormalization(groups=2, axis=1, center=False, scale=False),
    )
    yield "UnitNormalization", [f(4, 5)], lambda: L.UnitNormalization(axis=(1, 2))
    yield (
        "Normalization",
        [f(4, 5)],
        lambda: L.Normalization(axis=1, mean=[1.0, 2.0, 3.0, 4.0], variance=[2.0, 1.0, 2.0, 3.0]),
    )
    yield (
        "Normalization",
        [f(4)],
        lambda: L.Normalization(axis=None, mean=1.0, variance=4.0, invert=True),
    )
    yield (
        "Attention",
        [f(4, 3), f(5, 3)],
        lambda: lambda x: L.Attention(use_scale=True, score_mode="concat", dropout=0.5)(x),
    )
    yield (
        "AdditiveAttention",
        [f(4, 3), f(5, 3)],
        lambda: lambda x: L.AdditiveAttention(use_scale=False, dropout=0.5)(x),
    )
    yield (
        "MultiHeadAttention",
        [f(4, 3), f(5, 3)],
        lambda: (
            lambda x: L.MultiHeadAttention(
                2, 3, value_dim=4, dropout=0.25, output_shape=(5,), **weights("kernel", "bias")
            )(*x)
        ),
    )
    yield (
        "MultiHeadAttention",
        [f(3, 4, 6)],
        lambda: (
            lambda x: L.MultiHeadAttention(
                2, 3, use_bias=False, attention_axes=(1, 2), softmax_robust_masking=True
            )(x, x)
        ),
    )


def small():
    yield "Activation", [f(4)], lambda: L.Activation("hard_sigmoid")
    yield "ActivityRegularization", [f(4)], lambda: L.ActivityRegularization(l1=0.1, l2=0.2)
    yield "ReLU", [f(4)], lambda: L.ReLU(max_value=0.5, negative_slope=0.2, threshold=0.1)
    yield "LeakyReLU", [f(4)], lambda: L.LeakyReLU(alpha=0.1)
    yield "ELU", [f(4)], lambda: L.ELU(alpha=0.5)
    yield "ThresholdedReLU", [f(4)], lambda: L.ThresholdedReLU(theta=0.25)
    yield "PReLU", [f(4, 3)], lambda: L.PReLU(shared_axes=[1], **weights("alpha", activity=False))
    yield "Softmax", [f(4, 3)], lambda: L.Softmax(axis=[1, 2], robust_masking=True)
    yield (
        "Identity",
        [f(4)],
        lambda: L.Identity(trainable=False, name="same", dtype="float64", dynamic=False),
    )
    yield "Masking", [f(4, 3)], lambda: L.Masking(mask_value=2.0)
    yield "Flatten", [f(2, 3, 4)], lambda: L.Flatten(data_format=FIRST)
    yield "Permute", [f(2, 3, 4)], lambda: L.Permute((3, 1, 2))
    yield "Reshape", [f(6, 2)], lambda: L.Reshape((3, -1))
    yield "RepeatVector", [f(4)], lambda: L.RepeatVector(3)
    yield "Rescaling", [f(4)], lambda: L.Rescaling(0.5, offset=1.0)
    noise = {"noise_shape": (None, 1, 3), "seed": 5}
    yield "Dropout", [f(4, 3)], lambda: L.Dropout(0.5, **noise)
    yield "AlphaDropout", [f(4, 3)], lambda: L.AlphaDropout(0.5, **noise)
    yield "GaussianNoise", [f(4)], lambda: L.GaussianNoise(0.5, seed=5)
    yield "GaussianDropout", [f(4)], lambda: L.GaussianDropout(0.5, seed=5)
    yield "SpatialDropout1D", [f(4, 3)], lambda: L.SpatialDropout1D(0.5)
    yield "SpatialDropout2D", [f(2, 4, 3)], lambda: L.SpatialDropout2D(0.5, data_format=FIRST)
    yield "SpatialDropout3D", [f(2, 4, 3, 2)], lambda: L.SpatialDropout3D(0.5, data_format=FIRST)
    for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
        yield kind, [f(4), f(4), f(4)], lambda kind=kind: getattr(L, kind)(name="merged")
    yield "Subtract", [f(4), f(4)], lambda: L.Subtract()
    yield "Concatenate", [f(4, 3), f(2, 3)], lambda: L.Concatenate(axis=1)
    yield "Dot", [f(4, 3), f(5, 4)], lambda: L.Dot(axes=(1, 2), normalize=True)
    yield (
        "Lambda",
        [f(4, 3)],
        lambda: L.Lambda(tf.nn.relu, output_shape=(4, 3), arguments={"name": "rectified"}),
    )


def images():
    x = [f(8, 7, 3)]
    for interpolation in ("nearest", "area", "bicubic", "lanczos5", "mitchellcubic"):
        yield (
            "Resizing",
            x,
            lambda i=interpolation: L.Resizing(5, 4, interpolation=i, crop_to_aspect_ratio=True),
        )
    yield "CenterCrop", x, lambda: L.CenterCrop(5, 4)
    yield "RandomCrop", x, lambda: L.RandomCrop(5, 4, seed=3)
    yield "RandomFlip", x, lambda: L.RandomFlip(mode="vertical", seed=3)
    fill = {"fill_mode": "constant", "interpolation": "nearest", "seed": 3, "fill_value": 0.5}
    yield "RandomRotation", x, lambda: L.RandomRotation(0.2, **fill)
    yield "RandomTranslation", x, lambda: L.RandomTranslation(0.2, (-0.1, 0.3), **fill)
    yield "RandomZoom", x, lambda: L.RandomZoom(0.2, width_factor=0.1, **fill)
    yield "RandomHeight", x, lambda: L.RandomHeight(0.2, interpolation="nearest", seed=3)
    yield "RandomWidth", x, lambda: L.RandomWidth(0.2, interpolation="nearest", seed=3)
    yield "RandomContrast", x, lambda: L.RandomContrast(0.2, seed=3)
    yield "RandomBrightness", x, lambda: L.RandomBrightness(0.2, value_range=(0, 1), seed=3)


def text():
    ints, words = [((4,), INTS)], [((3,), TEXT)]
    yield "CategoryEncoding", ints, lambda: L.CategoryEncoding(num_tokens=7, output_mode="count")
    yield (
        "Discretization",
        [f(1)],
        lambda: L.Discretization(bin_boundaries=[-0.5, 0.0, 0.5], output_mode="one_hot"),
    )
    yield "Hashing", words, lambda: L.Hashing(5, mask_value="b", salt=[3, 4])
    yield "Hashing", words, lambda: L.Hashing(5, output_mode="multi_hot")
    yield (
        "HashedCrossing",
        [((1,), TEXT), ((1,), INTS)],
        lambda: lambda x: L.HashedCrossing(5, output_mode="one_hot")(tuple(x)),
    )
    lookup = {"max_tokens": 8, "num_oov_indices": 2}
    yield (
        "IntegerLookup",
        ints,
        lambda: L.IntegerLookup(vocabulary=[1, 2, 3], mask_token=0, oov_token=-5, **lookup),
    )
    yield (
        "IntegerLookup",
        ints,
        lambda: L.IntegerLookup(
            vocabulary=[1, 2, 3],
            output_mode="tf_idf",
            idf_weights=[0.5, 1.0, 2.0],
            pad_to_max_tokens=True,
            max_tokens=6,
        ),
    )
    yield "IntegerLookup", ints, lambda: L.IntegerLookup(vocabulary=[4, 5, 6], invert=True)
    yield (
        "StringLookup",
        words,
        lambda: L.StringLookup(
            vocabulary=["a", "b"], mask_token="", oov_token="[X]", encoding="ascii", **lookup
        ),
    )
    yield (
        "StringLookup",
        words,
        lambda: L.StringLookup(
            vocabulary=["a", "b"],
            output_mode="tf_idf",
            idf_weights=[0.5, 2.0],
            pad_to_max_tokens=True,
            max_tokens=6,
        ),
    )
    yield "StringLookup", ints, lambda: L.StringLookup(vocabulary=["a", "b"], invert=True)
    yield (
        "TextVectorization",
        [((1,), TEXT)],
        lambda: L.TextVectorization(
            vocabulary=["a", "b", "a b"],
            standardize="lower",
            split="character",
            ngrams=2,
            output_sequence_length=6,
            encoding="ascii",
            max_tokens=9,
        ),
    )
    yield (
        "TextVectorization",
        [((1,), TEXT)],
        lambda: L.TextVectorization(
            vocabulary=["a", "b"],
            output_mode="tf_idf",
            idf_weights=[0.5, 2.0],
            max_tokens=6,
            pad_to_max_tokens=True,
        ),
    )


random = np.random.default_rng(0)


def value(shape, kind, batch=2):
    whole = shape if kind == "fixed" else (batch, *shape)
    if kind == TEXT:
        return random.choice(["a", "b", "c", "a B"], whole).astype(object)
    if kind == INTS:
        return random.integers(0, 5, whole).astype("int64")
    return random.normal(size=whole).astype("float32")


DTYPES = {TEXT: "string", INTS: "int64", BOOLS: "bool"}


def entry(shape, kind):
    if kind == "fixed":
        return keras.Input(shape[1:], batch_size=shape[0])
    return keras.Input(shape, dtype=DTYPES.get(kind, "float32"))


def called(make, inputs):
    made = make()
    given_inputs = inputs if len(inputs) > 1 else inputs[0]
    return made, made(given_inputs)


def shuffle(model):
    """Weights that no initializer gives, positive where a variance must be."""
    for variable in model.weights:
        if variable.dtype.is_floating and variable.shape.is_fully_defined():
            variable.assign(random.uniform(0.1, 0.9, variable.shape))


def outputs_of(model, layer, values):
    """What the model gives; a layer for GPUs through one with the channels last."""
    given_values = values if len(values) > 1 else values[0]
    try:
        return model(given_values, training=False)
    except (tf.errors.OpError, NotImplementedError):
        config = {**layer.get_config(), "data_format": "channels_last"}
        twin = type(layer).from_config(config)
        axis = 2 if "LSTM" in type(layer).__name__ else 1
        moved = np.moveaxis(values[0], axis, -1)
        twin.build(moved.shape)
        twin.set_weights(layer.get_weights())
        made = twin(moved, training=False)
        return tf.convert_to_tensor(np.moveaxis(made.numpy(), -1, 1))


def write(number, inputs, make):
    """One case: its file, inputs and outputs."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(number)
    entries = [entry(*one) for one in inputs]
    layer, result = called(make, entries)
    model = keras.Model(entries, result)
    shuffle(model)
    path = f"{folder}/{number}.h5"
    model.save(path)
    values = [value(*one) for one in inputs]
    found = outputs_of(model, layer, [tf.constant(v) for v in values])
    return path, values, [tf.convert_to_tensor(v).numpy() for v in tf.nest.flatten(found)]


out["cases"], out["failed"] = [], {}
for number, (name, inputs, make) in enumerate(cases()):
    try:
        out["cases"].append((f"{number}-{name}", *write(number, inputs, make)))
    except Exception as error:  # noqa: BLE001 - all cases are told at once
        out["failed"][f"{number}-{name}"] = f"{type(error).__name__}: {error}"[:400]

kinds = {
    value.__name__: value
    for value in vars(keras.layers).values()
    if isinstance(value, type) and issubclass(value, keras.layers.Layer)
}
out["given"] = {name: sorted(names) for name, names in given.items()}
out["arguments"] = {
    name: [
        p
        for p in inspect.signature(kind.__init__).parameters
        if p not in ("self", "args", "kwargs")
    ]
    for name, kind in kinds.items()
}
