"""Array kernels: the forms of heavy operations that each platform runs fast.

Plain functions of JAX arrays. Nothing here knows about TensorFlow graphs or nodes.
"""
