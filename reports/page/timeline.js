// Lanes of all traces below each other on one axis.

// Spans of a kind have one colour; computing is told apart by its phase, and what is done with rows
// of tables looks as what is done with whole weights.
const spanColour = (trace, i) => {
  const kind = data.names.kind[trace.kind[i]];
  return kind === 'compute' ? data.names.phase[trace.phase[i]] : kind.replace(/-rows$/, '');
};

function prepareTraces() {
  for (const trace of data.traces) {
    trace.colour = Array.from(trace.start, (_, i) => spanColour(trace, i));
    trace.place = new Map();  // device and task to span
    trace.laneOf = new Uint32Array(trace.start.length);
    trace.lanes.forEach((lane, l) => {
      for (let i = trace.first[l]; i < trace.first[l + 1]; ++i) {
        trace.laneOf[i] = l;
        trace.place.set(lane.device * 4194304 + trace.task[i], i);
      }
    });
  }
}
prepareTraces();

// The same task in the other trace, or null.
function counterpart(trace, i) {
  const other = trace === predicted ? measured : predicted;
  if (!other) return null;
  const found = other.place.get(trace.lanes[trace.laneOf[i]].device * 4194304 + trace.task[i]);
  return found === undefined ? null : { trace: other, i: found };
}

const lengthOf = (trace, i) => trace.end[i] - trace.start[i];

function spanRows(trace, i) {
  const op = data.ops[trace.row[i]];
  const kind = data.names.kind[trace.kind[i]];
  const rows = [
    ['operator', op.kind ? `${op.name} (${op.kind})` : op.name],
    ['kind', kind.startsWith('update') ? kind : `${kind}, ${data.names.phase[trace.phase[i]]}`],
    ['where', `device ${trace.lanes[trace.laneOf[i]].device}, ${trace.origin}`],
    ['takes', timeText(lengthOf(trace, i))],
  ];
  if (trace.waiting[i] > 0) rows.push(['of that waits', timeText(trace.waiting[i])]);
  rows.push(['from', `${timeText(trace.start[i])} to ${timeText(trace.end[i])}`]);
  if (trace.bytes[i] > 0) rows.push([kind === 'transfer' ? 'sends' : 'touches', bytesText(trace.bytes[i])]);
  if (trace.flops[i] > 0)
    rows.push(['computes', flopsText(trace.flops[i]) +
      (lengthOf(trace, i) > 0 ? `, ${flopsText(trace.flops[i] / lengthOf(trace, i) * 1e9)}/s` : '')]);
  if (trace.origin === 'predicted') rows.push(['cost from', data.names.source[trace.source[i]]]);
  const other = counterpart(trace, i);
  if (other) {
    const [p, m] = trace === predicted ? [lengthOf(trace, i), lengthOf(other.trace, other.i)]
      : [lengthOf(other.trace, other.i), lengthOf(trace, i)];
    const error = relativeError(p, m);
    rows.push([other.trace.origin, timeText(lengthOf(other.trace, other.i)) + (error === null ? '' : ` (${percentText(error)})`)]);
  }
  return rows;
}

const timeline = (() => {
  const box = $('timeline-box'), canvas = $('timeline-canvas');
  const kAxis = 24, kHead = 22, kMostHeight = 620;
  const lanes = data.traces.reduce((sum, trace) => sum + trace.lanes.length, 0);
  const kLane = lanes > 48 ? 16 : 24;
  const order = $('timeline-order');
  let rows = [], contentHeight = 0;
  let selected = null;  // {trace, i}

  function arrange() {
    rows = [];
    let y = 0;
    const head = text => {
      rows.push({ head: text, y, height: kHead });
      y += kHead;
    };
    const lane = (trace, l, text, short) => {
      const talks = trace.lanes[l].kind === 'communication';
      rows.push({ trace, lane: l, y, height: kLane,
        text: talks ? '↔ communication' : text, short: talks ? '↔' : short });
      y += kLane;
    };
    if (order.value === 'trace') {
      for (const trace of data.traces) {
        head(`${trace.origin} · ${timeText(trace.step)}`);
        trace.lanes.forEach(({ device }, l) => lane(trace, l, `device ${device}`, `dev ${device}`));
        y += 4;
      }
    } else {
      const devices = new Set(data.traces.flatMap(trace => trace.lanes.map(l => l.device)));
      for (const device of [...devices].sort((a, b) => a - b)) {
        head(`device ${device}`);
        for (const trace of data.traces)
          trace.lanes.forEach((l, index) => {
            if (l.device === device) lane(trace, index, trace.origin, `${trace.origin.slice(0, 4)}.`);
          });
        y += 4;
      }
    }
    contentHeight = kAxis + y + 2;
  }
  const boxHeight = () => Math.min(contentHeight, Math.max(220, Math.min(kMostHeight, innerHeight * 0.75)));

  // A page of paper holds no more rows than these.
  const kPaperHeight = 1050;
  function rowsOnPaper() {
    const fit = rows.filter(row => kAxis + row.y + row.height <= kPaperHeight);
    while (fit.length > 0 && fit[fit.length - 1].head && fit.length < rows.length) fit.pop();
    return fit;
  }

  // The first span of a lane that ends after `time`.
  function firstAfter(trace, lane, time) {
    let low = trace.first[lane], high = trace.first[lane + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (trace.end[middle] > time) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function drawLane(context, area, row, y, ink) {
    const { trace, lane } = row;
    const end = trace.first[lane + 1];
    const right = area.left + area.width;
    const top = y + 2, tall = row.height - 4;
    let i = firstAfter(trace, lane, view.from);
    while (i < end && trace.start[i] < view.to) {
      const from = Math.max(area.left, area.x(trace.start[i]));
      const to = Math.min(right, area.x(trace.end[i]));
      const faded = !find.isMatch(trace, i);
      context.globalAlpha = faded ? 0.22 : 1;
      context.fillStyle = ink[trace.colour[i]];
      if (to - from < 1) {
        // All that ends within this pixel is one stroke, in the colour of its longest.
        const next = Math.max(i + 1, firstAfter(trace, lane, area.time(from + 1)));
        let longest = i;
        for (let k = i; k < Math.min(next, i + 64); ++k) {
          const better = find.isMatch(trace, k) - find.isMatch(trace, longest);
          if (better > 0 || (better === 0 && lengthOf(trace, k) > lengthOf(trace, longest))) longest = k;
        }
        context.globalAlpha = find.isMatch(trace, longest) ? 1 : 0.22;
        context.fillStyle = ink[trace.colour[longest]];
        context.fillRect(from, top, 1, tall);
        i = next;
        continue;
      }
      const wide = Math.max(1, to - from - 0.5);
      context.fillRect(from, top, wide, tall);
      if (trace.waiting[i] > 0) {
        const waits = Math.min(wide, area.x(trace.start[i] + trace.waiting[i]) - from);
        if (waits > 0) {
          context.globalAlpha = faded ? 0.1 : 0.6;
          context.fillStyle = ink.page;
          context.fillRect(from, top + 3, waits, tall - 6);
          context.globalAlpha = faded ? 0.22 : 1;
        }
      }
      if (wide > 34) {
        context.fillStyle = ink['bar-text'];
        context.textAlign = 'left';
        const label = trace.labels[trace.label[i]];
        const room = wide - 8;
        const size = context.measureText(label).width;
        const text = size <= room ? label : `${label.slice(0, Math.max(1, Math.floor(label.length * (room - 10) / size)))}…`;
        context.fillText(text, from + 4, y + row.height / 2 + 0.5);
      }
      ++i;
    }
    context.globalAlpha = 1;
    if (selected && selected.trace === trace && trace.laneOf[selected.i] === lane) {
      const from = area.x(trace.start[selected.i]), to = area.x(trace.end[selected.i]);
      if (to >= area.left && from <= right) {
        context.strokeStyle = ink.text;
        context.lineWidth = 2;
        context.strokeRect(Math.max(area.left, from), top, Math.max(2, Math.min(to, right) - Math.max(area.left, from)), tall);
      }
    }
  }

  function drawStepEnd(context, area, row, y, ink) {
    const x = Math.round(area.x(row.trace.step)) + 0.5;
    if (x < area.left || x > area.left + area.width + 1) return;
    context.strokeStyle = ink.accent;
    context.lineWidth = 1.5;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x, y + row.height);
    context.stroke();
    context.setLineDash([]);
  }

  function draw() {
    const drawn = onPaper ? rowsOnPaper() : rows;
    const isCut = drawn.length < rows.length;
    const last = drawn[drawn.length - 1];
    const width = widthOf(box), tall = !onPaper ? boxHeight() : kAxis + last.y + last.height + (isCut ? 22 : 4);
    box.style.height = contentHeight > tall ? `${tall}px` : '';
    $('timeline-spacer').style.height = `${contentHeight}px`;
    const inner = onPaper ? width : box.clientWidth;
    const context = prepare(canvas, inner, tall);
    const ink = colours('page', 'panel', 'text', 'muted', 'line', 'faint', 'accent', 'bar-text', 'forward',
      'backward-input', 'backward-weight', 'recompute', 'update', 'transfer', 'host-copy', 'load', 'accumulate',
      'norm');
    const area = timeArea(inner), narrow = inner < 560;
    const scrolled = onPaper ? 0 : box.scrollTop;
    context.save();
    context.beginPath();
    context.rect(0, kAxis, inner, tall - kAxis);
    context.clip();
    timeAxis(context, area, -20, kAxis, tall, ink);
    for (const row of drawn) {
      const y = kAxis + row.y - scrolled;
      if (y + row.height < kAxis || y > tall) continue;
      context.textAlign = 'left';
      if (row.head) {
        context.fillStyle = ink.panel;
        context.fillRect(0, y, inner, row.height);
        context.fillStyle = ink.text;
        context.font = `600 12px ${kFont}`;
        context.fillText(row.head, 6, y + row.height / 2);
        context.font = `12px ${kFont}`;
        continue;
      }
      if (row.height >= 12) {
        context.fillStyle = ink.muted;
        context.fillText(narrow ? row.short : row.text, 6, y + row.height / 2);
      }
      context.font = `11px ${kFont}`;
      drawLane(context, area, row, y, ink);
      context.font = `12px ${kFont}`;
      drawStepEnd(context, area, row, y, ink);
    }
    context.restore();
    if (isCut) {
      const hidden = rows.slice(drawn.length).filter(row => !row.head).length;
      context.fillStyle = ink.muted;
      context.textAlign = 'left';
      context.fillText(`… and ${plural(hidden, 'more lane')}`, 6, tall - 10);
    }
    timeAxis(context, area, kAxis / 2, kAxis - 5, kAxis, ink);
    context.strokeStyle = ink.line;
    context.beginPath();
    context.moveTo(0, kAxis - 0.5);
    context.lineTo(inner, kAxis - 0.5);
    context.stroke();
  }

  function spanAt(x, y) {
    const area = timeArea(canvas.getBoundingClientRect().width);
    if (y < kAxis || x < area.left - 2) return null;
    const at = y - kAxis + box.scrollTop;
    const row = rows.find(r => !r.head && at >= r.y && at < r.y + r.height);
    if (!row) return null;
    const slack = (view.to - view.from) / area.width * 2;
    const time = area.time(x);
    const end = row.trace.first[row.lane + 1];
    let best = null;
    for (let i = firstAfter(row.trace, row.lane, time - slack); i < end && row.trace.start[i] <= time + slack; ++i) {
      const distance = Math.max(0, row.trace.start[i] - time, time - row.trace.end[i]);
      if (best === null || distance < best.distance) best = { trace: row.trace, i, distance };
      if (distance === 0) break;
    }
    return best;
  }

  const labelOf = ({ trace, i }) => trace.labels[trace.label[i]];

  function select(span) {
    selected = span;
    $('timeline-detail').textContent = span
      ? `${labelOf(span)}: ${spanRows(span.trace, span.i).map(([term, text]) => `${term} ${text}`).join(' · ')}` : 'A click or a tap on a span tells about it here.';
    redraw();
  }

  // Brings a span into view, a tenth of the width at least.
  function reveal(span) {
    const { trace, i } = span;
    const length = Math.max(1, lengthOf(trace, i));
    let width = view.to - view.from;
    if (length > width * 0.8 || length < width * 0.02) width = length * 12;
    const middle = (trace.start[i] + trace.end[i]) / 2;
    show(middle - width / 2, middle + width / 2);
    const row = rows.find(r => r.trace === trace && r.lane === trace.laneOf[i] && !r.head);
    if (row.y < box.scrollTop || row.y + row.height > box.scrollTop + boxHeight() - kAxis)
      box.scrollTop = Math.max(0, row.y - boxHeight() / 2);
    select(span);
  }

  steer(canvas, {
    hover(x, y, event) {
      const span = spanAt(x, y);
      if (span) tooltip.show(event.clientX, event.clientY, labelOf(span), spanRows(span.trace, span.i));
      else tooltip.hide();
    },
    leave: () => tooltip.hide(),
    tap(x, y, event) {
      canvas.focus({ preventScroll: true });
      const span = spanAt(x, y);
      select(span);
      if (span && event.pointerType !== 'mouse')
        tooltip.show(event.clientX, event.clientY, labelOf(span), spanRows(span.trace, span.i));
      else if (!span) tooltip.hide();
    },
    scroll: dy => { box.scrollTop += dy; },
  });
  box.addEventListener('scroll', redraw);
  addEventListener('scroll', () => tooltip.hide(), { passive: true });
  canvas.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const width = view.to - view.from;
    const keys = {
      ArrowLeft: () => pan(-width / 8), a: () => pan(-width / 8),
      ArrowRight: () => pan(width / 8), d: () => pan(width / 8),
      ArrowUp: () => { box.scrollTop -= 48; }, ArrowDown: () => { box.scrollTop += 48; },
      '+': () => zoom(0.7), '=': () => zoom(0.7), w: () => zoom(0.7),
      '-': () => zoom(1 / 0.7), s: () => zoom(1 / 0.7),
      0: () => show(0, view.end), Home: () => show(0, view.end),
      n: () => find.step(1), N: () => find.step(-1), Enter: () => find.step(event.shiftKey ? -1 : 1),
      Escape: () => { select(null); find.set(''); canvas.blur(); },
    };
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  $('zoom-in').addEventListener('click', () => zoom(0.6));
  $('zoom-out').addEventListener('click', () => zoom(1 / 0.6));
  $('zoom-fit').addEventListener('click', () => show(0, view.end));

  order.addEventListener('change', () => {
    arrange();
    box.scrollTop = 0;
    redraw();
  });
  // Where not all lanes are seen at once, those to compare stand together.
  if (!measured) order.parentElement.hidden = true;
  else if (lanes > 24) order.value = 'device';
  arrange();

  const present = new Set(data.traces.flatMap(trace => trace.colour));
  for (const name of ['forward', 'backward-input', 'backward-weight', 'recompute', 'update', 'transfer', 'host-copy', 'load',
    'accumulate', 'norm'])
    if (present.has(name)) {
      const swatch = element('i');
      swatch.style.background = `var(--${name})`;
      $('kind-legend').append(element('li', {}, swatch, name.replace('-', ' ')));
    }
  if (data.traces.some(trace => trace.waiting.some(w => w > 0)))
    $('kind-legend').append(element('li', {}, 'pale inside: waits for others'));

  drawings.push(draw);
  return { reveal };
})();

// What is looked for: spans whose name or operator holds the text, without case.
const find = (() => {
  let text = '', matches = [], current = -1;
  const wanted = new Map();  // trace to Uint8Array

  function count() {
    const parts = data.traces.map(trace => {
      const flags = wanted.get(trace);
      let sum = 0, number = 0;
      for (let i = 0; i < flags.length; ++i)
        if (flags[i]) { sum += lengthOf(trace, i) - trace.waiting[i]; ++number; }
      return `${trace.origin} ${plural(number, 'span')}, ${timeText(sum)}`;
    });
    return matches.length === 0 ? 'nothing found' : parts.join(' · ');
  }

  function set(to, { scroll = false } = {}) {
    text = to.trim().toLowerCase();
    if ($('find').value !== to) $('find').value = to;
    matches = [];
    current = -1;
    wanted.clear();
    if (text !== '')
      for (const trace of data.traces) {
        const flags = new Uint8Array(trace.start.length);
        const labels = trace.labels.map(label => label.toLowerCase().includes(text));
        const ops = data.ops.map(op => op.name.toLowerCase() === text);
        for (let i = 0; i < flags.length; ++i)
          if (labels[trace.label[i]] || ops[trace.row[i]]) {
            flags[i] = 1;
            matches.push({ trace, i });
          }
        wanted.set(trace, flags);
      }
    matches.sort((a, b) => data.traces.indexOf(a.trace) - data.traces.indexOf(b.trace) || a.trace.start[a.i] - b.trace.start[b.i]);
    $('find-count').textContent = text === '' ? '' : count();
    graph.mark(text);
    if (scroll) $('timeline').scrollIntoView({ behavior: 'smooth' });
    redraw();
  }

  function step(by) {
    if (matches.length === 0) return;
    current = current < 0 ? (by > 0 ? 0 : matches.length - 1) : (current + by + matches.length) % matches.length;
    timeline.reveal(matches[current]);
  }

  $('find').addEventListener('input', () => set($('find').value));
  $('find').addEventListener('keydown', event => {
    if (event.key === 'Enter') step(event.shiftKey ? -1 : 1);
    if (event.key === 'Escape') { set(''); $('find').blur(); }
  });
  $('find-next').addEventListener('click', () => step(1));
  $('find-previous').addEventListener('click', () => step(-1));
  document.addEventListener('keydown', event => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    $('find').focus();
    $('find').select();
  });
  return { set, step, isMatch: (trace, i) => text === '' || wanted.get(trace)[i] === 1 };
})();
