// Data, texts and what all drawings share. The files of this folder are one script, in the order
// of CMakeLists.txt.

const data = JSON.parse(document.getElementById('data').textContent);
const predicted = data.traces[0];
const measured = data.traces[1] || null;

const $ = id => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, '');
    else if (value !== false && value !== null) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// --- texts -----------------------------------------------------------------------------------

// About three digits in the largest unit that leaves at least 1.
function scaled(value, units) {
  const size = Math.abs(value), sign = value < 0 ? '−' : '';
  let [factor, name] = units[0];
  for (const [f, n] of units) if (size >= f * 0.9995) [factor, name] = [f, n];
  const amount = size / factor;
  const digits = amount >= 99.95 || Number.isInteger(amount) ? 0 : amount >= 9.995 ? 1 : 2;
  return `${sign}${amount.toFixed(digits)} ${name}`;
}
const timeText = ns => scaled(ns, [[1, 'ns'], [1e3, 'us'], [1e6, 'ms'], [1e9, 's']]);
const bytesText = b => scaled(b, [[1, 'B'], [2 ** 10, 'KiB'], [2 ** 20, 'MiB'], [2 ** 30, 'GiB'], [2 ** 40, 'TiB']]);
const flopsText = f => scaled(f, [[1, 'FLOP'], [1e3, 'kFLOP'], [1e6, 'MFLOP'], [1e9, 'GFLOP'], [1e12, 'TFLOP']]);
const percentText = share => `${share > 0 ? '+' : share < 0 ? '−' : ''}${Math.abs(100 * share).toFixed(1)} %`;
const amountText = x => (x >= 1000 ? Math.round(x).toLocaleString('en') : String(Number(x.toPrecision(3))));
const rateText = perSecond => `${amountText(perSecond)} samples/s`;
const relativeError = (p, m) => (m > 0 ? (p - m) / m : null);
const shortText = x => String(Number(x.toPrecision(4)));
// Of a loss or a metric of a training.
const metricText = (name, value) => (name.endsWith('accuracy') ? `${shortText(100 * value)} %` : shortText(value));
const plural = (count, one, many = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

// --- the tooltip -----------------------------------------------------------------------------

const tooltip = {
  // `rows`: pairs of term and text.
  show(x, y, title, rows) {
    const box = $('tooltip');
    const list = element('dl');
    for (const [term, text] of rows) list.append(element('dt', {}, term), element('dd', {}, text));
    box.replaceChildren(element('b', {}, title), list);
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const right = x + 14 + width > innerWidth - 8 ? x - 14 - width : x + 14;
    box.style.left = `${Math.min(Math.max(8, right), Math.max(8, innerWidth - width - 8))}px`;
    box.style.top = `${Math.max(8, y + 14 + height > innerHeight - 8 ? y - 14 - height : y + 14)}px`;
  },
  hide() { $('tooltip').hidden = true; },
};

// --- drawing ---------------------------------------------------------------------------------

// Every drawing adds its function here; it is called when anything it depends on has changed.
const drawings = [];
let drawingIsDue = false;
let onPaper = false;
const kPaperWidth = 920;

function drawNow() {
  drawingIsDue = false;
  for (const draw of drawings) draw();
}
function redraw() {
  if (drawingIsDue) return;
  drawingIsDue = true;
  requestAnimationFrame(() => drawingIsDue && drawNow());
}

// The colours of page.css, as they are in this moment.
function colours(...names) {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(names.map(n => [n, style.getPropertyValue(`--${n}`).trim()]));
}

const kFont = 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", "DejaVu Sans", Arial, sans-serif';

// A context whose unit is a CSS pixel.
function prepare(canvas, width, height) {
  const ratio = onPaper ? 3 : Math.max(1, devicePixelRatio || 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `12px ${kFont}`;
  context.textBaseline = 'middle';
  return context;
}
const widthOf = box => (onPaper ? kPaperWidth : box.clientWidth);

addEventListener('resize', redraw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
function paper(is) {
  onPaper = is;
  document.documentElement.classList.toggle('paper', is);
  drawNow();
}
addEventListener('beforeprint', () => paper(true));
addEventListener('afterprint', () => paper(false));

// --- what is in view: the time axis of timeline and memory -------------------------------------

const view = { from: 0, to: 1, end: 1 };
for (const trace of data.traces) {
  view.end = Math.max(view.end, trace.step);
  for (const end of trace.end) if (end > view.end) view.end = end;
}
view.to = view.end;

function show(from, to) {
  const least = Math.min(view.end, 20);  // nanoseconds
  const width = Math.min(Math.max(to - from, least), view.end);
  const start = Math.min(Math.max(from, 0), view.end - width);
  if (start === view.from && start + width === view.to) return;
  view.from = start;
  view.to = start + width;
  redraw();
}
// The time `at` stays where it is.
function zoom(factor, at = (view.from + view.to) / 2) {
  show(at - (at - view.from) * factor, at + (view.to - at) * factor);
}
const pan = time => show(view.from + time, view.to + time);

// --- header, overview, footer ------------------------------------------------------------------

$('heading').append(data.model, ' ', element('small', {}, `on ${data.cluster}`));
$('strategy').textContent = [
  `batch ${data.batch}`, plural(data.devices, 'device'),
  ...(data.micro_batches > 1 ? [`${data.micro_batches} micro-batches`] : []), data.strategy].join(' · ');
if (data.notes.length > 0) {
  $('notes').append(...data.notes.map(note => element('li', {}, note)));
  $('notes').hidden = false;
}

function overview() {
  const card = (value, text, isOff = false) =>
    $('overview').append(element('div', { class: 'card' },
      element('b', isOff ? { class: 'off' } : {}, value), element('span', {}, text)));
  const stepCard = (trace, what) =>
    card(timeText(trace.step), `${what}, ${rateText(data.batch / trace.step * 1e9)}`);
  stepCard(predicted, 'predicted step');
  if (measured) {
    stepCard(measured, measured.steps > 1 ? `measured, median of ${measured.steps} steps` : 'measured step');
    const error = relativeError(predicted.step, measured.step);
    if (error !== null) card(percentText(error), 'error of the prediction: (predicted − measured) ÷ measured', Math.abs(error) > 0.2);
  }
  const fullest = predicted.memory.reduce((a, b) => (b.peak_bytes > a.peak_bytes ? b : a), predicted.memory[0]);
  if (fullest) card(bytesText(fullest.peak_bytes), `at most alive on device ${fullest.device}, ${bytesText(fullest.arena)} allocated`);
  card(bytesText(data.ops.reduce((sum, op) => sum + op.moved, 0)), 'sent between devices in a step');
  let known = 0, all = 0;
  for (let i = 0; i < predicted.start.length; ++i) {
    if (['transfer', 'host-copy'].includes(data.names.kind[predicted.kind[i]])) continue;
    const time = predicted.end[i] - predicted.start[i];
    all += time;
    if (data.names.source[predicted.source[i]] !== 'roofline') known += time;
  }
  if (all > 0)
    card(`${Math.round(100 * known / all)} %`, `of the predicted computing time is from measurements${known < all ? ', the rest from the roofline' : ''}`);
  const tests = data.training?.evaluations;
  const last = (tests?.step.length ?? 0) - 1;
  for (const name of last < 0 ? [] : [...data.training.metrics, 'loss']) {
    const value = tests[name][last];
    if (value === null || value === undefined) continue;
    card(metricText(name, value), `${name === 'loss' ? 'loss' : name.replaceAll('_', ' ')} on the test data after ${plural(tests.epoch[last] + 1, 'epoch')}`);
    break;  // one of them: the section has all
  }
}
overview();
$('footer').textContent = `soapstone ${data.version}`;

// Sections that are there, once all are filled.
function contents() {
  for (const section of document.querySelectorAll('main > section')) {
    const heading = section.querySelector('h2');
    if (heading && !section.hidden)
      $('contents').append(element('a', { href: `#${section.id}` }, heading.textContent));
  }
}
