"""A model trained in JAX by Flax NNX, saved as TensorFlow Serving expects it, and served.

TensorFlow Serving itself takes the folder: ``docker run -p 8501:8501 -v "$PWD/models:/models" -e
MODEL_NAME=sensors tensorflow/serving``. Where there is no TensorFlow, the server below answers
requests of the same shape (its REST API: ``POST /v1/models/NAME:predict``).
"""

from __future__ import annotations

import json
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import hozon

NAME = "sensors"


def train() -> nnx.Linear:
    """A line through invented readings."""
    x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
    y = x @ np.float32([[1], [2], [0], [-1]])
    model = nnx.Linear(4, 1, rngs=nnx.Rngs(0))

    def loss(model: nnx.Linear) -> jax.Array:
        return jnp.mean((model(x) - y) ** 2)

    for _ in range(200):
        gradients = nnx.grad(loss)(model)
        state = jax.tree.map(lambda p, g: p - 0.1 * g, nnx.state(model, nnx.Param), gradients)
        nnx.update(model, state)
    return model


def save(model: nnx.Linear, path: Path) -> None:
    """A SavedModel with one signature, of any number of readings."""
    definition, state = nnx.split(model)

    def serve(state: Any, readings: jax.Array) -> dict[str, jax.Array]:
        return {"power": nnx.merge(definition, state)(readings)}

    path.parent.mkdir(parents=True)
    signature = (serve, {"readings": ((None, 4), "float32")})
    print(hozon.saved_model.save(state, path, {"serving_default": signature}))


def answer(signatures: Any, request: dict[str, Any]) -> dict[str, Any]:
    """What TensorFlow Serving answers: rows for ``instances``, columns for ``inputs``."""
    signature = signatures[request.get("signature_name", "serving_default")]
    specs = signature.structured_input_signature[1]
    rows = "instances" in request
    given = request["instances"] if rows else request["inputs"]
    if rows and isinstance(given[0], dict):
        given = {name: [row[name] for row in given] for name in given[0]}
    if not isinstance(given, dict):
        given = {next(iter(specs)): given}
    arrays = {name: np.asarray(value, specs[name].dtype) for name, value in given.items()}
    outputs = {name: np.asarray(value).tolist() for name, value in signature(**arrays).items()}
    if not rows:
        return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}
    names = list(outputs)
    if len(names) == 1:
        return {"predictions": outputs[names[0]]}
    listed = zip(*outputs.values(), strict=True)
    return {"predictions": [dict(zip(names, row, strict=True)) for row in listed]}


def server(path: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of one model."""
    signatures = hozon.saved_model.load(path).signatures

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, told = 200, answer(signatures, json.loads(body))
            except (ValueError, KeyError) as error:  # of the request, Hozon's errors too
                status, told = 400, {"error": str(error)}
            data = json.dumps(told).encode()
            self.send_response(status if self.path == f"/v1/models/{NAME}:predict" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def ask(url: str, request: dict[str, Any]) -> Any:
    body = json.dumps(request).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body)) as response:
        return json.load(response)


def main() -> None:
    model = train()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "models", NAME, "1")  # Serving takes the highest number
        save(model, path)
        running = server(path)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running.server_port}/v1/models/{NAME}:predict"
        readings = [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]]
        told = ask(url, {"instances": readings})
        print(url, told)
        expected = np.asarray(model(np.float32(readings)))
        np.testing.assert_allclose(told["predictions"], expected, rtol=1e-6)
        columns = ask(url, {"inputs": {"readings": readings}})
        np.testing.assert_allclose(columns["outputs"], expected, rtol=1e-6)
        running.shutdown()


if __name__ == "__main__":
    main()
