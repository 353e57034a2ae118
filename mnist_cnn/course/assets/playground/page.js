// What the page does: ink, three steps to 28 × 28 pixels, the answer, the maps, one pixel by hand.
const $ = (id) => document.getElementById(id);
const SIDE = 280; // points along the paper: ten to a pixel of the network
const PEN = 11; // radius of the pen, in points
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const TITLES = { article: "⟦the article's: two convolutions⟧", best: "⟦the best: five convolutions⟧" };
const ORANGE = [0.16, 0.63, 1]; // by how much red, green and blue fall from white to #d55e00
const facts = JSON.parse($("facts").textContent);
const paper = maps(SIDE, SIDE, 1); // 0 (paper) to 1 (ink)
const pen = { x: SIDE / 2, y: SIDE / 2, down: false }; // moved by the keyboard
let network, layers, outputs, figures, selected, image = maps(28, 28, 1);

// The weights of all networks and the test digits, one after the other: float32, then uint8.
async function unpack() {
  const packed = Uint8Array.from(atob($("numbers").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  let offset = 0;
  for (const layer of facts.networks.flatMap((one) => one.layers)) {
    [layer.kind, layer.pool] = [layer.class, layer.pool_size?.[0]];
    layer.weights = layer.shapes.map((shape) => {
      const data = new Float32Array(buffer, offset, shape.reduce((a, b) => a * b));
      offset += data.byteLength;
      return { shape, data };
    });
  }
  facts.digits.forEach((digit, i) => (digit.pixels = new Uint8Array(buffer, offset + i * 784, 784)));
}

function over(height, width, visit) {
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) visit(row, column);
}
const limit = (value, low, high) => Math.min(high, Math.max(low, value));
const largest = (numbers) => numbers.reduce((a, b) => Math.max(a, b));
const smallest = (numbers) => numbers.reduce((a, b) => Math.min(a, b));

// ---- Ink
// Draw a straight stroke with round ends, or erase along it.
function stroke(from, to) {
  const erase = document.querySelector("[name=tool]:checked").value == "eraser";
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  over(SIDE, SIDE, (row, column) => {
    const [x, y] = [column + 0.5 - from.x, row + 0.5 - from.y];
    const along = limit((x * dx + y * dy) / (dx * dx + dy * dy || 1), 0, 1);
    const cover = limit(PEN + 0.5 - Math.hypot(x - along * dx, y - along * dy), 0, 1);
    const i = row * SIDE + column;
    paper.data[i] = erase ? Math.min(paper.data[i], 1 - cover) : Math.max(paper.data[i], cover);
  });
  schedule();
}

// Fill the paper anew. A drawing is prepared; a test digit has been through these steps already.
function fill(ink, digit = "") {
  over(SIDE, SIDE, (row, column) => (paper.data[row * SIDE + column] = ink(row, column)));
  $("digits").value = digit;
  $("prepare").checked = digit === "";
  schedule();
}
const showDigit = (i) => fill((row, column) =>
  facts.digits[i].pixels[Math.floor(row / 10) * 28 + Math.floor(column / 10)] / 255, i);

// A picture, dark on light or light on dark: what has more and stronger edges is ink.
async function readPicture(file) {
  const say = (text) => ($("verdict").textContent = text);
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return say(`⟦${file.name} is not a readable picture.⟧`);
  const scale = SIDE / Math.max(picture.width, picture.height);
  const [w, h] = [picture.width, picture.height].map((side) => Math.ceil(side * scale));
  const context = new OffscreenCanvas(w, h).getContext("2d");
  context.filter = "blur(1px)"; // the paper's grain
  context.drawImage(picture, -3, -3, w + 6, h + 6); // the blurred border stays outside
  const { data } = context.getImageData(0, 0, w, h);
  const level = (i) => (data[i] + data[i + 1] + data[i + 2]) / 3;
  const pixels = Array.from({ length: w * h }, (_, n) => 4 * n);
  // What is transparent counts as white, as black under white strokes.
  const ground = pixels.every((i) => data[i + 3] < 128 || level(i) > 127) ? 0 : 255;
  const grey = Float32Array.from(pixels, (i) => ground + ((level(i) - ground) * data[i + 3]) / 255);
  const readings = [darkInk(grey, w), darkInk(grey.map((level) => 255 - level), w)];
  const { ink, contrast, sharp } = readings.reduce((a, b) => (b.likeness > a.likeness ? b : a));
  if (!(contrast > 24)) return say("⟦The picture is blank: nothing stands out from its background.⟧");
  const shadow = readings.some((one) => one.sharp < 0.7 && one.contrast > 1.25 * contrast); // it has no edges
  if (sharp < 0.7 || shadow) return say("⟦Not sure what is ink: the light is uneven, or the picture is blurred.⟧");
  const share = (i) => (ink[i] > 0.3 * contrast ? Math.min(1, ink[i] / contrast) : 0); // no specks
  fill((row, column) => (row < h && column < w ? share(row * w + column) : 0));
}

// Ink is darker than the paper. Look from a pixel to its four sides for the brightest one; the second
// darkest of these four is the paper: light may fade to the border, and ink may touch it.
function darkInk(grey, w) {
  const sides = [1, -1, w, -w].map((step) => {
    const most = grey.slice();
    const inside = [...grey.keys()].filter((i) => step % w == 0 || (step > 0 ? i : i + 1) % w);
    for (const i of step > 0 ? inside : inside.reverse()) most[i] = Math.max(most[i], most[i - step] ?? 0);
    return most;
  });
  const ink = grey.map((level, i) => sides.map((most) => most[i]).sort((a, b) => a - b)[1] - level);
  const least = largest(ink) / 3;
  const strong = [...ink.keys()].filter((i) => ink[i] > least);
  const contrast = strong.reduce((sum, i) => sum + ink[i], 0) / strong.length;
  const outline = strong.filter((i) => [1, -1, w, -w].some((step) => ink[i + step] <= least));
  const edges = outline.filter((i) => { // where the picture, too, has one
    const near = [-4, -2, 0, 2, 4].flatMap((n) => [grey[i + n], grey[i + n * w]]).filter((v) => v >= 0);
    return largest(near) - smallest(near) > contrast / 2;
  });
  return { ink, contrast, sharp: edges.length / outline.length, likeness: (contrast * edges.length) ** 2 / outline.length };
}

// ---- From ink to 28 × 28 pixels
function inkBox() {
  const inked = [...paper.data.keys()].filter((i) => paper.data[i] > 0.05);
  const [rows, columns] = [inked.map((i) => Math.floor(i / SIDE)), inked.map((i) => i % SIDE)];
  const [top, bottom] = [rows[0], rows.at(-1) + 1];
  return inked.length && { top, bottom, left: smallest(columns), right: largest(columns) + 1 };
}

// Reduce the paper, or a box of it: each new pixel is the mean of 10 × 10 points that it covers.
function reduce(height, width, box = { left: 0, top: 0, right: SIDE, bottom: SIDE }) {
  const small = maps(height, width, 1);
  const [down, right] = [(box.bottom - box.top) / height, (box.right - box.left) / width];
  over(10 * height, 10 * width, (row, column) => {
    const y = Math.floor(box.top + ((row + 0.5) / 10) * down);
    const x = Math.floor(box.left + ((column + 0.5) / 10) * right);
    small.data[Math.floor(row / 10) * width + Math.floor(column / 10)] += paper.data[y * SIDE + x];
  });
  return { ...small, data: small.data.map((sum) => sum / 100) };
}

// Cut the ink out, scale it to 20 pixels along its longer side, put its centre of mass on pixel 14.
function prepare() {
  const placed = maps(28, 28, 1);
  const box = inkBox();
  if (!box) return { placed };
  const [h, w] = [box.bottom - box.top, box.right - box.left];
  const scaled = (side) => Math.max(1, Math.round((20 * side) / Math.max(h, w)));
  const small = reduce(scaled(h), scaled(w), box);
  const most = largest(small.data);
  small.data = small.data.map((value) => value / most);
  const sum = (weight) => small.data.reduce((all, value, i) => all + value * weight(i), 0);
  const [down, right] = [sum((i) => Math.floor(i / small.width)), sum((i) => i % small.width)];
  const top = limit(Math.round(14 - down / sum(() => 1)), 0, 28 - small.height);
  const left = limit(Math.round(14 - right / sum(() => 1)), 0, 28 - small.width);
  over(small.height, small.width, (row, column) => {
    placed.data[(top + row) * 28 + left + column] = small.data[row * small.width + column];
  });
  return { placed, box, small };
}

// ---- The answer
let request; // at most one for each picture on the screen
function schedule() {
  cancelAnimationFrame(request);
  request = requestAnimationFrame(update);
}

function update() {
  const steps = $("prepare").checked ? prepare() : { placed: reduce(28, 28) };
  image = steps.placed;
  const started = performance.now();
  outputs = forward(layers, image);
  const [took, parameters] = [(performance.now() - started).toFixed(1), network.parameters.toLocaleString("en")];
  $("time").textContent = `⟦${parameters} parameters; computed in ${took} ms⟧`;
  paint($("paper"), paper);
  showSteps(steps);
  showScores([...outputs.at(-1).data]);
  for (const { canvas, layer } of figures) paint(canvas, outputs[layer]);
  showPixel();
}

function showSteps({ placed, box, small = maps(20, 20, 1) }) {
  $("step-place").textContent = $("prepare").checked ? "⟦Put the centre of mass on pixel (14, 14).⟧"
    : "⟦As it is: each pixel is the mean of 10 × 10 points of the paper.⟧";
  paint($("input"), placed);
  paint($("step-box"), paper);
  paint($("step-small"), small);
  $("step-size").textContent = `⟦Scale it: ${small.height} × ${small.width} pixels.⟧`;
  mark($("step-box"), "pixel", paper, 0, box ? [box.top, box.left, box.bottom, box.right] : [-9, -9, -9, -9]);
}

function showScores(scores) {
  const [answer, highest] = [scores.indexOf(largest(scores)), largest(scores).toFixed(3)];
  const label = facts.digits[$("digits").value]?.label;
  $("verdict").textContent = (largest(image.data) ? "" : "⟦The paper is empty: only the biases speak. ⟧") +
    `⟦Read as ${answer}, score ${highest}.⟧` + (label == null ? "" : `⟦ The label says ${label}.⟧`);
  $("scores").tBodies[0].innerHTML = scores.map((score, digit) => `<tr class="${digit == answer ? "highest" : ""}">
    <th scope="row">${digit}</th><td><div style="width: ${100 * score}%"></div></td>
    <td>${score.toFixed(4)}</td></tr>`).join("");
}

// ---- Feature maps
// Where the maps of a layer stand on their canvas: side by side, a point between them.
function layout({ width, height, channels }) {
  const columns = channels <= 32 ? Math.min(channels, 8) : 16;
  const corner = (map) => [(map % columns) * (width + 1), Math.floor(map / columns) * (height + 1)];
  return { columns, corner, right: columns * (width + 1) - 1, bottom: (channels / columns) * (height + 1) - 1 };
}

// Paint a point per number: white is 0, black the largest of the layer, orange below 0.
function paint(canvas, { width, height, channels, data }) {
  const { right, bottom, corner } = layout({ width, height, channels });
  [canvas.width, canvas.height] = [right, bottom];
  const picture = new ImageData(right, bottom);
  const scale = 255 / (channels > 1 ? largest(data.map(Math.abs)) || 1 : 1);
  for (let map = 0; map < channels; map++) {
    const [left, top] = corner(map);
    over(height, width, (row, column) => {
      const value = data[(row * width + column) * channels + map] * scale;
      const first = ((top + row) * right + left + column) * 4;
      for (let i = 0; i < 3; i++) picture.data[first + i] = 255 + (value < 0 ? ORANGE[i] : -1) * value;
      picture.data[first + 3] = 255; // opaque
    });
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// Frame the rows `top` to `bottom` and columns `left` to `right` of a map.
function mark(canvas, name, all, map, [top, left, bottom, right]) {
  canvas.parentNode.querySelector("i")?.remove();
  const element = canvas.parentNode.appendChild(Object.assign(document.createElement("i"), { className: name }));
  const { right: width, bottom: height, corner } = layout(all);
  const [x, y] = corner(map);
  const [inX, inY] = [(length) => `${(100 * length) / width}%`, (length) => `${(100 * length) / height}%`];
  const size = { width: inX(right - left), height: inY(bottom - top) };
  Object.assign(element.style, { left: inX(x + left), top: inY(y + top), ...size });
}

function choose(name) {
  network = facts.networks.find((one) => one.name == name) ?? facts.networks[0];
  layers = network.layers;
  $(network.name).checked = true;
  $("scores").caption.textContent = layers.at(-1).activation == "softmax"
    ? "⟦Softmax: the ten scores sum to 1; label smoothing keeps the highest near 0.9.⟧"
    : "⟦Sigmoid: each score stands for itself; they need not sum to 1.⟧";
  $("maps").replaceChildren();
  [figures, outputs] = [[], forward(layers, image)];
  outputs.forEach(({ height, width }, layer) => {
    const { kind, activation, padding, weights } = layers[layer];
    if (kind != "Conv2D") return;
    const [size, , inputs, filters] = weights[0].shape;
    const [figure, number] = [document.createElement("figure"), figures.length + 1];
    figure.innerHTML = `<figcaption>⟦<b>Convolution ${number}</b>: ${filters} maps of ${height} × ${width}, each from
      windows of ${size} × ${size} × ${inputs}⟧${padding == "same" ? "⟦, zeros around⟧" : ""}${activation == "relu"
        ? "⟦; shown after ReLU.⟧" : "⟦; shown before normalisation and ReLU.⟧"}</figcaption>
      <div class="frame" style="max-width: ${12 * layout(outputs[layer]).right}px"><canvas tabindex="0"
      role="application" aria-label="⟦${filters} maps of convolution ${number}⟧"></canvas></div>`;
    const canvas = $("maps").appendChild(figure).querySelector("canvas");
    figures.push({ canvas, layer, number });
    for (const kind of ["pointermove", "pointerdown"])
      canvas.addEventListener(kind, (event) => pointAtMap(event, canvas, layer));
    canvas.addEventListener("keydown", (event) => moveInMaps(event, layer));
  });
  select({ layer: 0, map: 8, row: 8, column: 16 });
  schedule();
}

// Where an event is on a canvas, in points of its picture.
function place({ clientX, clientY }, canvas) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return { x: ((clientX - left) / width) * canvas.width, y: ((clientY - top) / height) * canvas.height };
}

function pointAtMap(event, canvas, layer) {
  const { width, height, channels } = outputs[layer];
  const { x, y } = place(event, canvas);
  const [column, row] = [Math.floor(x % (width + 1)), Math.floor(y % (height + 1))];
  const map = Math.floor(y / (height + 1)) * layout(outputs[layer]).columns + Math.floor(x / (width + 1));
  if (x < 0 || y < 0 || column >= width || row >= height || map >= channels) return;
  select({ layer, map, row, column });
}

function moveInMaps(event, layer) {
  const { width, height, channels } = outputs[layer];
  const { map, row, column } = selected.layer == layer ? selected : { map: 0, row: 0, column: 0 };
  const [right, down] = ARROWS[event.key] ?? [0, 0];
  const next = { PageUp: -1, PageDown: 1 }[event.key] ?? 0;
  if (!right && !down && !next) return;
  event.preventDefault();
  const [r, c] = [limit(row + down, 0, height - 1), limit(column + right, 0, width - 1)];
  select({ layer, map: limit(map + next, 0, channels - 1), row: r, column: c });
}

// ---- One pixel by hand
function select(pixel) {
  if (pixel.layer != selected?.layer) {
    const inputs = layers[pixel.layer].weights[0].shape[2];
    $("channel-row").hidden = inputs == 1;
    const options = Array.from({ length: inputs }, (_, i) => new Option(i, i));
    $("channel").replaceChildren(new Option("⟦the one that adds or takes most⟧", ""), ...options);
  }
  selected = pixel;
  showPixel();
}

function showPixel() {
  const { layer, map, row, column } = selected;
  const { weights: [kernel, bias], padding, activation } = layers[layer];
  const [size, , inputs, filters] = kernel.shape;
  const input = layer ? outputs[layer - 1] : image;
  const before = padding == "same" ? (size - 1) >> 1 : 0;
  const weight = (y, x, channel) => kernel.data[((y * size + x) * inputs + channel) * filters + map];
  const pixel = (y, x, channel) => {
    const [r, c] = [row + y - before, column + x - before];
    const outside = r < 0 || c < 0 || r >= input.height || c >= input.width;
    return outside ? 0 : input.data[(r * input.width + c) * inputs + channel];
  };
  const product = (y, x, channel) => pixel(y, x, channel) * weight(y, x, channel);
  const sums = new Array(inputs).fill(0);
  for (let i = 0; i < inputs; i++) over(size, size, (y, x) => (sums[i] += product(y, x, i)));
  const sizes = sums.map(Math.abs);
  const channel = $("channel").value ? Number($("channel").value) : sizes.indexOf(largest(sizes));
  const sum = sums.reduce((a, b) => a + b);
  const { canvas, number } = figures.find((figure) => figure.layer == layer);
  $("where").textContent =
    `⟦Convolution ${number}, map ${map}, row ${row}, column ${column}; input map ${channel}.⟧`;
  const parts = Object.entries({ "⟦Window⟧": pixel, "⟦× kernel⟧": weight, "⟦= products⟧": product });
  $("tables").innerHTML = parts.map(([title, part]) => table(title, size, (y, x) => part(y, x, channel))).join("");
  const lines = [[`⟦Sum of the ${size} × ${size} products⟧`, sums[channel]]];
  if (inputs > 1) lines.push([`⟦The same for all ${inputs} input maps, summed⟧`, sum]);
  if (bias) lines.push([`⟦Plus the bias, ⟧${show(bias.data[map])}`, sum + bias.data[map]]);
  if (activation == "relu") lines.push(["⟦ReLU: below 0 becomes 0⟧", Math.max(0, sum + bias.data[map])]);
  $("steps").innerHTML = [...lines, ...whatFollows(layer + 1, map, row, column)].map(([text, value]) =>
    `<tr><th scope="row">${text}</th><td>${isNaN(value) ? "" : show(value)}</td></tr>`).join("");
  document.querySelectorAll("#maps i").forEach((element) => element.remove());
  mark(canvas, "pixel", outputs[layer], map, [row, column, row + 1, column + 1]);
  mark($("input"), "seen", image, 0, receptiveField(layer, [row, column, row + 1, column + 1]));
}

// What the layers up to the next convolution do to the pixel.
function whatFollows(layer, map, row, column) {
  const { kind, pool, weights } = layers[layer];
  const { width, height, channels, data } = outputs[layer];
  if (!["MaxPooling2D", "BatchNormalization", "ReLU"].includes(kind)) return [];
  if (kind == "MaxPooling2D") [row, column] = [Math.floor(row / pool), Math.floor(column / pool)];
  if (row >= height || column >= width) return [["⟦Pooling drops the last row or column⟧", NaN]];
  const [gamma, beta, mean, variance] = weights.map(({ data }) => show(data[map]));
  const text = { MaxPooling2D: `⟦Pooling: the largest of its ${pool} × ${pool} block⟧`, ReLU: "⟦ReLU: below 0 becomes 0⟧",
    BatchNormalization: `⟦Normalised: ${gamma} · (value − ${mean}) / √(${variance} + 0.001) + ${beta}⟧` }[kind];
  return [[text, data[(row * width + column) * channels + map]], ...whatFollows(layer + 1, map, row, column)];
}

// The part of the 28 × 28 pixels on which a part of a layer's maps depends.
function receptiveField(layer, [top, left, bottom, right]) {
  if (layer < 0) return [Math.max(0, top), Math.max(0, left), Math.min(28, bottom), Math.min(28, right)];
  const { kind, weights, padding, pool = 1 } = layers[layer];
  const wider = kind == "Conv2D" ? weights[0].shape[0] - 1 : 0;
  const before = padding == "same" ? wider >> 1 : 0;
  const [y, x, v, u] = [top - before, left - before, bottom + wider - before, right + wider - before];
  return receptiveField(layer - 1, [y * pool, x * pool, v * pool, u * pool]);
}

// A number as text; what rounds to 0 has no sign.
const show = (value, digits = 3) => Number(value.toFixed(digits)).toFixed(digits).replace("-", "−");

function table(title, size, value) {
  const cells = Array.from({ length: size * size }, (_, i) => value(Math.floor(i / size), i % size));
  const most = largest(cells.map(Math.abs)) || 1;
  const html = cells.map((v, i) => `${i % size ? "" : "<tr>"}<td class="${v < 0 ? "below" : ""}"
    style="--share: ${(45 * Math.abs(v)) / most}%">${show(v, 2)}</td>`);
  return `<table><caption>${title}</caption><tbody>${html.join("")}</tbody></table>`;
}

// ---- What the visitor does
function drawWithKeys(event) {
  const [right, down] = ARROWS[event.key] ?? [0, 0];
  const key = event.key.toLowerCase();
  if (!right && !down && ![" ", "e", "delete"].includes(key)) return;
  event.preventDefault();
  const from = { ...pen };
  [pen.x, pen.y] = [limit(pen.x + 10 * right, 0, SIDE), limit(pen.y + 10 * down, 0, SIDE)];
  if (key == " ") pen.down = !pen.down;
  if (key == "e") document.querySelector("[name=tool]:not(:checked)").checked = true;
  if (key == "delete") fill(() => 0);
  else if (pen.down) stroke(from, pen);
  mark($("paper"), pen.down ? "pen down" : "pen", paper, 0, [pen.y - PEN, pen.x - PEN, pen.y + PEN, pen.x + PEN]);
}

function start() {
  const option = ({ number, label }, i) => new Option(`⟦number ${number}: a ${label}⟧`, i);
  for (const { title, digits } of facts.groups) {
    const group = $("digits").appendChild(Object.assign(document.createElement("optgroup"), { label: title }));
    group.append(...digits.map((i) => option(facts.digits[i], i)));
  }
  $("networks").insertAdjacentHTML("beforeend", facts.networks.map(({ name }) =>
    `<label><input type="radio" name="network" id="${name}" value="${name}"> ${TITLES[name]}</label>`).join(" "));
  const listen = (id, kind, action) => $(id).addEventListener(kind, action);
  listen("networks", "change", (event) => choose(event.target.value));
  listen("digits", "change", ({ target }) => (target.value ? showDigit(target.value) : fill(() => 0)));
  listen("channel", "change", showPixel);
  listen("prepare", "change", schedule);
  listen("clear", "click", () => fill(() => 0));
  listen("file", "change", ({ target }) => target.files[0] && readPicture(target.files[0]));
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => {
    event.preventDefault(); // the browser would open the picture
    if (event.dataTransfer.files[0]) readPicture(event.dataTransfer.files[0]);
  });
  let last = null;
  const draw = (event) => event.isPrimary && event.buttons == 1 && // no second finger, no right button
    stroke(last ?? place(event, $("paper")), (last = place(event, $("paper"))));
  listen("paper", "pointerdown", (event) => ($("paper").setPointerCapture(event.pointerId), draw(event)));
  listen("paper", "pointermove", (event) => last && draw(event));
  for (const end of ["pointerup", "pointercancel"]) listen("paper", end, () => (last = null));
  listen("paper", "keydown", drawWithKeys);
  // An address such as playground.html#best/8 opens with that network and that test digit.
  const [name, number] = location.hash.slice(1).split("/");
  choose(name);
  showDigit(Math.max(0, facts.digits.findIndex((digit) => digit.number == number)));
}

const ready = unpack().then(start);
