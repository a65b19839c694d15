"""TensorFlow's protocol buffers, and the codecs that turn them into plain records.

The ``.proto`` files here are Hozon's own and hold only what is read; field numbers and meanings
are TensorFlow's, but file and package names are not, so both can live in one process. The
``*_pb2.py`` modules are generated and checked in. After a change to a ``.proto`` file::

    make protos  # cd src && python -m grpc_tools.protoc -I. --python_out=. hozon/.../*.proto

Only this folder knows `google.protobuf`: the codecs return frozen dataclasses and plain values.
"""
