// The page of the server: no build step, no other host.
const $ = id => document.getElementById(id);
const key = () => $("key").value || sessionStorage.getItem("key") || "";
const headers = extra => key() ? { ...extra, Authorization: `Bearer ${key()}` } : extra;

let model = null; // what GET /v1/models/{id} says
let running = null; // AbortController of the requests in progress

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

async function fail(response) {
  const body = await response.json().catch(() => null);
  const error = new Error(body?.error?.message ?? `The server answered ${response.status}.`);
  error.status = response.status;
  return error;
}

async function get(path) {
  const response = await fetch(path, { headers: headers({}) });
  if (!response.ok) throw await fail(response);
  return response.json();
}

// --- Models and classes

async function loadModels() {
  try {
    const list = await get("/v1/models");
    $("key-field").hidden = !key();
    $("model").replaceChildren(...list.data.map(m => new Option(m.id)));
    await chooseModel();
    say("");
  } catch (e) {
    if (e.status === 401) $("key-field").hidden = false;
    say(e.message, true);
  }
}

async function chooseModel() {
  model = await get(`/v1/models/${encodeURIComponent($("model").value)}`);
  const own = model.nextpatch;
  $("engine").textContent = `${own.size}, ${own.engine}`;
  $("classes").replaceChildren(...own.classes.map((name, number) => {
    const option = new Option(name, name);
    option.label = name === `${number}` ? name : `${name} (${number})`;
    return option;
  }));
  $("class").parentElement.classList.toggle("wide", own.prompts);
  $("class-label").textContent = own.prompts ? "Prompt" : "Class";
  $("class-hint").textContent = own.prompts ? "Say what to draw." : "Type a part of a name, or a number.";
  if (!own.prompts && !$("class").value) $("class").value = own.classes[own.classes.indexOf("heart")] ?? own.classes[0];
  for (const id of ["cfg", "cfg-b"]) {
    $(id).disabled = !own.guidance;
    if (!own.guidance) $(id).value = 1;
  }
}

// --- Server-sent events of a POST

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const line = text.slice(0, end).split("\n").find(l => l.startsWith("data: "));
      text = text.slice(end + 2);
      if (line) yield JSON.parse(line.slice(6));
    }
  }
}

async function stream(path, init, onEvent) {
  const response = await fetch(path, { method: "POST", signal: running.signal, ...init });
  if (!response.ok) throw await fail(response);
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    onEvent(event);
  }
}

// --- What a PNG remembers

function textOf(bytes) {
  const view = new DataView(bytes.buffer), found = {};
  for (let at = 8; at + 8 <= bytes.length;) {
    const length = view.getUint32(at), type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    const zero = data.indexOf(0);
    if (type === "tEXt") found[new TextDecoder("latin1").decode(data.subarray(0, zero))] = new TextDecoder("latin1").decode(data.subarray(zero + 1));
    if (type === "iTXt") found[new TextDecoder().decode(data.subarray(0, zero))] = new TextDecoder().decode(data.subarray(zero + 5));
    at += 12 + length;
  }
  return found;
}

function option(settings, name) {
  return settings.match(new RegExp(`--${name} (\\S+)`))?.[1];
}

const bytesOf = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));

// --- Cards

function newRun(title, count, pairs) {
  const run = document.createElement("section"), heading = document.createElement("h2"), cards = document.createElement("div");
  run.className = "run";
  heading.textContent = title;
  cards.className = pairs ? "cards pairs" : "cards";
  const made = Array.from({ length: count }, () => {
    const card = $("card").content.cloneNode(true).querySelector("figure");
    card.querySelector(".picture").classList.toggle("smooth", parseInt(model.nextpatch.size) > 128);
    card.querySelector("figcaption").textContent = "Waiting…";
    cards.append(card);
    return card;
  });
  run.append(heading, cards);
  $("gallery").prepend(run);
  if (matchMedia("(max-width: 48rem)").matches) run.scrollIntoView();
  return made;
}

function show(card, event, note = "") {
  const rows = model.nextpatch.rows, image = card.querySelector("img");
  image.src = `data:image/png;base64,${event.b64_json}`;
  const partial = event.partial_image_index;
  card.querySelector("progress").value = partial === undefined ? 1 : event.rows / rows;
  if (partial !== undefined) {
    card.querySelector("figcaption").textContent = "Drawing…";
    return;
  }
  const bytes = bytesOf(event.b64_json), text = textOf(bytes), title = text.prompt ?? text.className;
  card.classList.add("done");
  image.alt = `${title}, seed ${text.seed}, image ${text.index}`;
  card.querySelector("figcaption").textContent = `${title}${note}`;
  card.querySelector("dl").replaceChildren(...Object.entries(text).flatMap(([name, value]) => {
    const [term, fact] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, fact.textContent] = [name, value];
    return [term, fact];
  }));
  const link = card.querySelector(".download");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  link.download = `${title.replace(/[^\w-]+/g, "-").slice(0, 60)}-${text.seed}-${text.index}.png`;
  card.querySelector(".again").onclick = () => again(text);
  card.querySelector(".repaint").onclick = () => paint(bytes, text);
  card.querySelectorAll("button, a").forEach(b => b.setAttribute("aria-label", `${b.textContent.replace("…", "")}: ${image.alt}`));
}

function again(text) {
  const [names, label] = [model.nextpatch.classes, Number(text.class)];
  $("class").value = text.prompt ?? (names.indexOf(names[label]) === names.lastIndexOf(names[label]) ? names[label] : text.class);
  $("seed").value = text.seed;
  $("cfg").value = option(text.settings, "cfg-scale");
  $("temperature").value = option(text.settings, "temperature");
  $("topk").value = option(text.settings, "top-k");
  $("count").value = Math.min(10, Number(text.index) + 1);
  say("These are the image's settings; change what you like, and press Draw.");
  $("draw").focus();
}

// --- Drawing

const rules = (suffix = "") => ({
  cfg_scale: Number($(`cfg${suffix}`).value), temperature: Number($(`temperature${suffix}`).value), top_k: Number($(`topk${suffix}`).value),
});

// JSON.stringify would round seeds beyond 2^53.
const body = fields => JSON.stringify(fields).replace('"seed":"', '"seed":').replace(/("seed":\d+)"/, "$1");

async function busy(work) {
  running?.abort();
  const own = running = new AbortController();
  [$("draw").disabled, $("stop").disabled] = [true, false];
  try {
    await work();
    say("Done.");
  } catch (e) {
    if (running === own) say(own.signal.aborted ? "Stopped." : e.message, !own.signal.aborted);
    document.querySelectorAll(".card:not(.done)").forEach(card => card.remove());
    document.querySelectorAll(".run:not(:has(.card))").forEach(run => run.remove());
  } finally {
    if (running === own) [$("draw").disabled, $("stop").disabled] = [false, true];
  }
}

async function draw() {
  const compare = $("compare").checked, count = Number($("count").value);
  const seed = $("seed").value || String(Math.floor(Math.random() * 2 ** 31));
  const fields = { prompt: $("class").value, model: model.id, n: count, seed, stream: true, partial_rows: true };
  say("Drawing…");
  await busy(async () => {
    const title = `${$("class").value}, seed ${seed}`;
    if (!compare) {
      const cards = newRun(title, count);
      await post({ ...fields, ...rules() }, e => show(cards[e.index], e));
      return;
    }
    const cards = newRun(`${title}: A beside B`, 2 * count, true);
    await Promise.all(["", "-b"].map((suffix, side) => post({ ...fields, ...rules(suffix) },
      e => show(cards[2 * e.index + side], e, ` – ${"AB"[side]}: guidance ${$(`cfg${suffix}`).value}, temperature ${$(`temperature${suffix}`).value}`))));
  });
}

const post = (fields, onEvent) => stream("/v1/images/generations",
  { headers: headers({ "Content-Type": "application/json" }), body: body(fields) }, onEvent);

// --- Painting a mask

let source = null;

function paint(bytes, text) {
  source = { bytes, text };
  const mask = $("mask"), side = parseInt(model.nextpatch.size);
  [mask.width, mask.height] = [side, side];
  $("painter").classList.toggle("smooth", side > 128);
  $("painted").src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  brush.x = brush.y = side / 2;
  $("painter").showModal();
}

const brush = { x: 0, y: 0 };

function dab(x, y) {
  const mask = $("mask"), context = mask.getContext("2d");
  context.fillStyle = "#f36c";
  context.beginPath();
  context.arc(x, y, mask.width * $("brush").value / 100 / 2, 0, 7);
  context.fill();
}

function point(event) {
  const mask = $("mask"), box = mask.getBoundingClientRect();
  dab((event.clientX - box.left) / box.width * mask.width, (event.clientY - box.top) / box.height * mask.height);
}

$("mask").onpointerdown = e => { $("mask").setPointerCapture(e.pointerId); point(e); };
$("mask").onpointermove = e => { if (e.buttons) point(e); };
$("mask").onkeydown = e => {
  const step = $("mask").width / 16, moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
  if (moves) {
    brush.x = Math.min($("mask").width, Math.max(0, brush.x + moves[0] * step));
    brush.y = Math.min($("mask").width, Math.max(0, brush.y + moves[1] * step));
    if (e.shiftKey) dab(brush.x, brush.y);
  } else if (e.key === " ") dab(brush.x, brush.y);
  else if (e.key === "Delete") clearMask();
  else return;
  e.preventDefault();
};

function clearMask() {
  $("mask").getContext("2d").clearRect(0, 0, $("mask").width, $("mask").height);
}

$("clear").onclick = clearMask;
$("lower").onclick = () => {
  const mask = $("mask"), context = mask.getContext("2d");
  context.fillStyle = "#f36c";
  context.fillRect(0, mask.height / 2, mask.width, mask.height / 2);
};
$("cancel").onclick = () => $("painter").close();

$("repaint").onclick = async () => {
  const mask = $("mask"), pixels = mask.getContext("2d").getImageData(0, 0, mask.width, mask.height);
  for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = pixels.data[i] > 0 ? 0 : 255;
  const holes = new OffscreenCanvas(mask.width, mask.height);
  holes.getContext("2d").putImageData(pixels, 0, 0);
  const count = Number($("count").value), form = new FormData();
  form.append("image", new Blob([source.bytes], { type: "image/png" }), "image.png");
  form.append("mask", await holes.convertToBlob(), "mask.png");
  const fields = { prompt: $("class").value, model: model.id, n: count, stream: true, partial_rows: true, ...rules() };
  if ($("seed").value && $("seed").value !== source.text.seed) fields.seed = $("seed").value;
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  $("painter").close();
  say("Repainting…");
  await busy(async () => {
    const cards = newRun(`${$("class").value}, repainted`, count);
    await stream("/v1/images/edits", { headers: headers({}), body: form }, e => show(cards[e.index], e, ", repainted"));
  });
};

// --- Wiring

$("settings").onsubmit = e => { e.preventDefault(); draw(); };
$("stop").onclick = () => running?.abort();
$("model").onchange = () => chooseModel().catch(e => say(e.message, true));
$("key").onchange = () => { sessionStorage.setItem("key", $("key").value); loadModels(); };
$("class").onfocus = () => $("class").select();
$("compare").onchange = () => {
  $("second").hidden = !$("compare").checked;
  document.body.classList.toggle("comparing", $("compare").checked);
};
loadModels();
