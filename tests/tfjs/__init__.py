"""TensorFlow.js as the judge of the files that it shares with Hozon."""
