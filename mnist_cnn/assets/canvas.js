// The front end of DigitCanvas: strokes go to Python, pictures and probabilities come back.

const SIDE = 280, PEN = 20; // as in canvas.py
const STEP = 0.03; // of the pen per arrow key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LABEL = "Paper to draw a digit on. With the keyboard: arrow keys move the pen, Space sets it down or lifts it.";

function add(parent, tag, text = "", attributes = {}) {
  const element = parent.appendChild(document.createElement(tag));
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function render({ model, el }) {
  el.classList.add("digit-canvas");
  el.setAttribute("data-lm-suppress-shortcuts", "true"); // keys are for the pen, not for JupyterLab
  const left = add(el, "div");
  const paper = add(left, "canvas", "", { width: SIDE, height: SIDE, tabindex: 0, role: "application", "aria-label": LABEL });
  const undo = add(left, "button", "Undo", { type: "button" });
  const clear = add(left, "button", "Clear", { type: "button" });
  const right = add(el, "div");
  const answer = add(right, "p", "", { "aria-live": "polite" });
  const bars = add(right, "div", "", { class: "bars" });
  const steps = add(right, "div", "", { class: "steps" });

  const context = paper.getContext("2d");
  let stroke = null; // the one that is being drawn
  let pen = null; // where the keys have moved it

  function line(points, colour) {
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(SIDE * points[0][0] + 0.01, SIDE * points[0][1]); // so that a point shows too
    points.forEach(([x, y]) => context.lineTo(SIDE * x, SIDE * y));
    context.stroke();
  }

  function paint() {
    const strokes = [...model.get("strokes"), ...(stroke ? [stroke] : [])];
    context.clearRect(0, 0, SIDE, SIDE);
    Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    if (strokes.length) strokes.forEach((points) => line(points, "black"));
    else model.get("example").forEach((points) => line(points, "#ccc"));
    if (!pen) return;
    Object.assign(context, { lineWidth: 3, strokeStyle: "#d55e00" });
    context.beginPath();
    context.arc(SIDE * pen[0], SIDE * pen[1], PEN / 2, 0, 7);
    context.stroke();
  }

  function show() {
    const { text, probabilities, steps: pictures } = model.get("reading");
    answer.textContent = text;
    bars.replaceChildren();
    probabilities.forEach((probability, digit) => {
      add(bars, "span", digit);
      add(add(bars, "span", "", { class: "bar" }), "span").style.width = `${100 * probability}%`;
      add(bars, "span", probability.toFixed(2));
    });
    steps.replaceChildren();
    for (const [title, src] of pictures) {
      const figure = add(steps, "figure");
      add(figure, "img", "", { src, alt: "" });
      add(figure, "figcaption", title);
    }
  }

  function send(strokes) {
    stroke = null;
    model.set("strokes", strokes);
    model.save_changes();
  }

  const finish = () => stroke && send([...model.get("strokes"), stroke]);
  const limit = (value) => Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;

  function follow(event) {
    const box = paper.getBoundingClientRect();
    stroke.push([limit((event.clientX - box.left) / box.width), limit((event.clientY - box.top) / box.height)]);
    paint();
  }

  paper.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    paper.setPointerCapture(event.pointerId);
    finish();
    [stroke, pen] = [[], null];
    follow(event);
  });
  paper.addEventListener("pointermove", (event) => paper.hasPointerCapture(event.pointerId) && stroke && follow(event));
  paper.addEventListener("lostpointercapture", finish);
  paper.addEventListener("keydown", (event) => {
    const [right, down] = ARROWS[event.key] ?? [0, 0];
    if (event.key != " " && !right && !down) return;
    event.preventDefault();
    event.stopPropagation();
    const [x, y] = pen ?? [0.5, 0.5];
    pen = [limit(x + STEP * right), limit(y + STEP * down)];
    if (right || down) stroke?.push(pen);
    else if (stroke) finish();
    else stroke = [pen];
    paint();
  });
  paper.addEventListener("blur", () => { finish(); pen = null; paint(); });
  undo.addEventListener("click", () => send(model.get("strokes").slice(0, -1)));
  clear.addEventListener("click", () => send([]));
  model.on("change:strokes", paint);
  model.on("change:reading", show);
  paint();
  show();
  return () => {
    model.off("change:strokes", paint);
    model.off("change:reading", show);
  };
}

export default { render };
