// TensorFlow.js: jobs as JSON on the standard input, answers on the standard output.
//   {"run": folder, "inputs": [tensor, ...]}  ->  {"outputs": [tensor, ...]}
//   {"make": name, "into": folder}            ->  {"inputs", "outputs", "targets", "loss", "after"}
// A tensor is {"shape", "data", "dtype"}. `after` are the outputs when the model, as it was saved,
// has trained one step more on the inputs.
'use strict';
const fs = require('fs');
const path = require('path');
const tf = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-backend-cpu');
const layers = require('@tensorflow/tfjs-layers');

// Some layers call ops as methods, which the package of all of TensorFlow.js provides.
for (const [name, op] of Object.entries(tf)) {
  if (typeof op === 'function' && /^[a-z]/.test(name)) {
    tf.Tensor.prototype[name] ??= function (...args) { return op(this, ...args); };
  }
}
tf.Tensor.prototype.flatten = function () { return tf.reshape(this, [this.size]); };
console.warn = () => {};

const all = (x) => (Array.isArray(x) ? x : [x]);
const one = (x) => (x.length === 1 ? x[0] : x);
const plain = (t) => ({ shape: t.shape, data: Array.from(t.dataSync()), dtype: t.dtype });
const L = layers.layers;
const sequential = (...list) => layers.sequential({ layers: list });
const adam = () => tf.train.adam(0.05);

const MODELS = {
  dense: () => [sequential(
    L.dense({ units: 4, inputShape: [3], activation: 'tanh', kernelRegularizer: 'l1l2' }),
    L.batchNormalization(), L.layerNormalization(), L.dense({ units: 2 })), adam()],
  pictures: () => [sequential(
    L.conv2d({ filters: 4, kernelSize: 3, inputShape: [8, 8, 2], activation: 'relu' }),
    L.depthwiseConv2d({ kernelSize: 2 }), L.separableConv2d({ filters: 3, kernelSize: 2 }),
    L.maxPooling2d({ poolSize: 2 }), L.flatten(), L.dense({ units: 2 })), tf.train.sgd(0.05)],
  sequences: () => [sequential(
    L.embedding({ inputDim: 6, outputDim: 4, inputLength: 5, maskZero: true }),
    L.lstm({ units: 3, returnSequences: true }), L.gru({ units: 3 }), L.dense({ units: 2 })),
  tf.train.sgd(0.05)],
  bidirectional: () => [sequential(
    L.bidirectional({ layer: L.gru({ units: 3, returnSequences: true }), inputShape: [5, 3] }),
    L.timeDistributed({ layer: L.dense({ units: 2 }) }), L.simpleRNN({ units: 2 })),
  tf.train.rmsprop(0.05)],
  branches: () => {
    const [a, b] = [layers.input({ shape: [4] }), layers.input({ shape: [4] })];
    const inner = sequential(L.dense({ units: 3, inputShape: [4], activation: 'sigmoid' }));
    const joined = L.concatenate().apply([inner.apply(a), inner.apply(b)]);
    return [layers.model({ inputs: [a, b], outputs: L.dense({ units: 2 }).apply(joined) }),
      tf.train.momentum(0.05, 0.9)];
  },
};

function random(shape, ints) {
  return ints
    ? tf.randomUniform(shape, 0, 6, 'int32', 1)
    : tf.randomNormal(shape, 0, 1, 'float32', 2);
}

async function make(name, folder) {
  const [model, optimizer] = MODELS[name]();
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const inputs = model.inputs.map((x) => random([4, ...x.shape.slice(1)], name === 'sequences'));
  const targets = tf.randomNormal([4, 2], 0, 1, 'float32', 3);
  // Weights that are drawn anew each time now and then have gradients near nothing, whose first
  // step says nothing of the rule by which it is made.
  model.setWeights(
    model.getWeights().map((w, i) => tf.randomNormal(w.shape, 0, 0.5, 'float32', 10 + i)));
  const step = () => model.fit(one(inputs), targets, { epochs: 1, shuffle: false, verbose: 0 });
  await step();
  let saved;
  await model.save({ save: async (parts) => { saved = parts; return { modelArtifactsInfo: {} }; } },
    { includeOptimizer: true });
  const { weightData, weightSpecs, ...rest } = saved;
  const bytes = Buffer.from(weightData);
  const half = Math.floor(bytes.length / 2);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'group1-shard1of2.bin'), bytes.subarray(0, half));
  fs.writeFileSync(path.join(folder, 'group1-shard2of2.bin'), bytes.subarray(half));
  const paths = ['group1-shard1of2.bin', 'group1-shard2of2.bin'];
  fs.writeFileSync(path.join(folder, 'model.json'),
    JSON.stringify({ ...rest, weightsManifest: [{ paths, weights: weightSpecs }] }));
  const outputs = all(model.predict(one(inputs))).map(plain);
  const history = await step();
  return {
    inputs: inputs.map(plain), outputs, targets: plain(targets), loss: history.history.loss[0],
    after: all(model.predict(one(inputs))).map(plain),
  };
}

async function run(folder, inputs) {
  const json = JSON.parse(fs.readFileSync(path.join(folder, 'model.json')));
  const paths = json.weightsManifest.flatMap((group) => group.paths);
  const bytes = Buffer.concat(paths.map((name) => fs.readFileSync(path.join(folder, name))));
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const weightSpecs = json.weightsManifest.flatMap((group) => group.weights);
  const model = await layers.loadLayersModel({
    load: async () => ({ modelTopology: json.modelTopology, weightSpecs, weightData }),
  });
  const given = inputs.map((x) => tf.tensor(x.data, x.shape, x.dtype));
  return { outputs: all(model.predict(one(given))).map(plain) };
}

async function main() {
  const answers = [];
  for (const job of JSON.parse(fs.readFileSync(0))) {
    try {
      answers.push(await (job.run ? run(job.run, job.inputs) : make(job.make, job.into)));
    } catch (error) {
      answers.push({ error: String(error.message || error) });
    }
  }
  fs.writeFileSync(process.argv[2], JSON.stringify(answers));
}
main();
