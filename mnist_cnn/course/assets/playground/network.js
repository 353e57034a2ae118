// The forward pass of a trained network: what chapter 03 does by hand and mnist_cnn/course/forward.py
// with NumPy, in JavaScript and for one image. Nothing else is needed to read a digit.
// Maps have a height, a width and a number of channels. Their numbers stand in one long array: row by
// row, in a row pixel by pixel, in a pixel channel by channel. Kernels are laid out likewise, as
// (row, column, channel, filter): the order of NumPy and Keras.

const maps = (height, width, channels) =>
  ({ height, width, channels, data: new Float32Array(height * width * channels) });

// Slide a window over the maps; at each place and for each filter, sum kernel times pixels, plus bias.
function convolution(input, kernel, bias, padding) {
  const [size, , channels, filters] = kernel.shape;
  // "same" surrounds the maps with zeros, so that their size stays.
  const [before, less] = padding == "same" ? [(size - 1) >> 1, 0] : [0, size - 1];
  const output = maps(input.height - less, input.width - less, filters);
  for (let row = 0; row < output.height; row++)
    for (let column = 0; column < output.width; column++) {
      const place = (row * output.width + column) * filters;
      if (bias) output.data.set(bias.data, place);
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++) {
          const [r, c] = [row + y - before, column + x - before];
          if (r < 0 || c < 0 || r >= input.height || c >= input.width) continue;
          for (let channel = 0; channel < channels; channel++) {
            const pixel = input.data[(r * input.width + c) * channels + channel];
            if (pixel == 0) continue; // it would add nothing
            const weights = ((y * size + x) * channels + channel) * filters;
            for (let filter = 0; filter < filters; filter++)
              output.data[place + filter] += pixel * kernel.data[weights + filter];
          }
        }
    }
  return output;
}

// Keep the largest number of each block; an incomplete block is dropped.
function maxPooling(input, size) {
  const { channels } = input;
  const output = maps(Math.floor(input.height / size), Math.floor(input.width / size), channels);
  output.data.fill(-Infinity);
  for (let row = 0; row < output.height * size; row++)
    for (let column = 0; column < output.width * size; column++)
      for (let channel = 0; channel < channels; channel++) {
        const block = (Math.floor(row / size) * output.width + Math.floor(column / size)) * channels + channel;
        const pixel = input.data[(row * input.width + column) * channels + channel];
        if (pixel > output.data[block]) output.data[block] = pixel;
      }
  return output;
}

// Normalise each channel by the mean and variance that were kept in training.
function batchNormalization(input, gamma, beta, mean, variance, epsilon = 1e-3) {
  return each(input, (value, channel) => {
    const normal = (value - mean.data[channel]) / Math.sqrt(variance.data[channel] + epsilon);
    return gamma.data[channel] * normal + beta.data[channel];
  });
}

// Weigh all features for each unit, plus bias.
function dense(input, kernel, bias) {
  const [features, units] = kernel.shape;
  const output = maps(1, 1, units);
  output.data.set(bias.data);
  for (let feature = 0; feature < features; feature++)
    for (let unit = 0; unit < units; unit++)
      output.data[unit] += input.data[feature] * kernel.data[feature * units + unit];
  return output;
}

function softmax(input) {
  const powers = each(input, (logit) => Math.exp(logit - Math.max(...input.data)));
  const sum = powers.data.reduce((a, b) => a + b);
  return each(powers, (power) => power / sum);
}

const ACTIVATIONS = {
  linear: (input) => input,
  relu: (input) => each(input, (value) => Math.max(value, 0)),
  sigmoid: (input) => each(input, (logit) => 1 / (1 + Math.exp(-logit))),
  softmax,
};

const each = (input, change) =>
  ({ ...input, data: input.data.map((value, index) => change(value, index % input.channels)) });

// Pass an image through all layers, and return what each of them gives: the last one, the scores.
function forward(layers, image) {
  let values = image;
  return layers.map(({ kind, weights, padding, pool, activation }) => {
    if (kind == "Conv2D") values = convolution(values, weights[0], weights[1], padding);
    if (kind == "MaxPooling2D") values = maxPooling(values, pool);
    if (kind == "BatchNormalization") values = batchNormalization(values, ...weights);
    if (kind == "Dense") values = dense(values, ...weights);
    return (values = ACTIVATIONS[activation](values)); // Flatten has nothing to do here
  });
}
