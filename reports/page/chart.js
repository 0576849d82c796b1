// Axes, and how a drawing on the time axis is panned and zoomed.

// Round numbers from `from` to `to`, at most about `count` of them.
function ticks(from, to, count) {
  const raw = (to - from) / Math.max(1, count);
  if (!(raw > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw);
  const out = [];
  for (let i = Math.ceil(from / step); i * step <= to + step * 1e-9; ++i) out.push(i * step);
  return out;
}
// The same for bytes, in powers of two.
function byteTicks(to, count) {
  let step = 1;
  while (to / step > count) step *= 2;
  const out = [];
  for (let t = 0; t <= to; t += step) out.push(t);
  return out;
}

// Times that tell the ticks of the view apart.
function tickText(time, step) {
  const [factor, name] = [[1e9, 's'], [1e6, 'ms'], [1e3, 'us']].find(([f]) => view.to >= f) || [1, 'ns'];
  const digits = Math.min(9, Math.max(0, -Math.floor(Math.log10(step / factor) + 1e-9)));
  return `${(time / factor).toFixed(digits)} ${name}`;
}

// Lines and texts of the time axis. `top` is where the texts stand; lines go from `from` to `to`.
function timeAxis(context, area, top, from, to, ink) {
  const list = ticks(view.from, view.to, area.width / 90);
  const step = list.length > 1 ? list[1] - list[0] : view.to - view.from;
  context.fillStyle = ink.muted;
  context.strokeStyle = ink.faint;
  context.textAlign = 'center';
  context.lineWidth = 1;
  for (const t of list) {
    const x = Math.round(area.x(t)) + 0.5;
    context.beginPath();
    context.moveTo(x, from);
    context.lineTo(x, to);
    context.stroke();
    const text = tickText(t, step);
    const half = context.measureText(text).width / 2;
    if (x - half >= 0 && x + half <= area.left + area.width) context.fillText(text, x, top);
  }
}

// Where the time axis lies in a drawing `width` wide: timeline and memory have the same margins.
function timeArea(width) {
  const left = width < 560 ? 62 : 118, right = 8;
  const space = Math.max(10, width - left - right);
  return {
    left, width: space,
    x: t => left + (t - view.from) / (view.to - view.from) * space,
    time: x => view.from + (x - left) / space * (view.to - view.from),
  };
}

// Drag, wheel and fingers. `on.hover(x, y, event)` and `on.leave()` follow the pointer, `on.tap`
// is a click that was no drag, `on.scroll(dy)` a drag up or down.
function steer(canvas, on) {
  const pointers = new Map();
  let moved = 0, pinch = null;
  const place = event => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const area = () => timeArea(canvas.getBoundingClientRect().width);
  canvas.addEventListener('pointerdown', event => {
    if (event.button > 0) return;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (event.pointerType === 'mouse') canvas.setPointerCapture(event.pointerId);
    moved = 0;
    pinch = null;
  });
  canvas.addEventListener('pointermove', event => {
    const [x, y] = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      on.hover(x, y, event);
      return;
    }
    const now = [event.clientX, event.clientY];
    const perPixel = (view.to - view.from) / area().width;
    if (pointers.size === 1) {
      moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
      pointers.set(event.pointerId, now);
      if (moved < 4) return;
      tooltip.hide();
      pan((before[0] - now[0]) * perPixel);
      if (event.pointerType === 'mouse' && on.scroll) on.scroll(before[1] - now[1]);
      return;
    }
    pointers.set(event.pointerId, now);
    moved = 10;
    const [a, b] = [...pointers.values()];
    const distance = Math.max(20, Math.abs(a[0] - b[0]));
    const middle = area().time((a[0] + b[0]) / 2 - canvas.getBoundingClientRect().left);
    if (pinch) {
      zoom(pinch.distance / distance, middle);
      pan(pinch.middle - area().time((a[0] + b[0]) / 2 - canvas.getBoundingClientRect().left));
    }
    pinch = { distance, middle: area().time((a[0] + b[0]) / 2 - canvas.getBoundingClientRect().left) };
  });
  const end = event => {
    if (!pointers.delete(event.pointerId)) return;
    pinch = null;
    if (event.type === 'pointerup' && pointers.size === 0 && moved < 4) on.tap(...place(event), event);
  };
  canvas.addEventListener('pointerup', end);
  canvas.addEventListener('pointercancel', end);
  canvas.addEventListener('pointerleave', event => {
    if (event.pointerType === 'mouse') on.leave();
  });
  canvas.addEventListener('wheel', event => {
    const perPixel = (view.to - view.from) / area().width;
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 200 : 1;
    const sideways = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      event.preventDefault();
      pan(sideways * unit * perPixel);
    } else if (event.ctrlKey || event.metaKey || document.activeElement === canvas) {
      event.preventDefault();
      zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * unit * 0.0025))), area().time(place(event)[0]));
    }
  }, { passive: false });
  canvas.addEventListener('dblclick', event => zoom(0.4, area().time(place(event)[0])));
}

// Means of `width` neighbours each; null where none of them is a number.
function means(x, y, width) {
  const out = { x: [], y: [] };
  for (let i = 0; i < x.length; i += width) {
    const values = y.slice(i, i + width).filter(v => v !== null);
    out.x.push((x[i] + x[Math.min(i + width, x.length) - 1]) / 2);
    out.y.push(values.length === 0 ? null : values.reduce((a, b) => a + b) / values.length);
  }
  return out;
}

// Curves over the steps of `range`, from and to: `series` are {name, colour, x, y, points, width}, y null where there is none. With
// a width above 1 the curve is that of the means of so many steps, over all values in pale, which do
// not count for how far the axis goes.
function lineChart(canvas, title, [first, last], series, text) {
  const width = widthOf(canvas.parentElement), height = onPaper ? 170 : 220;
  const context = prepare(canvas, width, height);
  const ink = colours('page', 'text', 'muted', 'line', 'faint', 'series-1', 'series-2');
  const left = 58, right = 12, top = 26, bottom = 24;
  let least = Infinity, most = -Infinity;
  const curves = series.map(s => (s.width > 1 ? { ...s, ...means(s.x, s.y, s.width), all: s } : s));
  for (const s of curves)
    for (const value of s.y) {
      if (value === null) continue;
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
  context.fillStyle = ink.text;
  context.textAlign = 'left';
  context.font = `600 13px ${kFont}`;
  context.fillText(title, 8, 13);
  context.font = `12px ${kFont}`;
  if (!(most >= least)) return null;
  if (most === least) { most += Math.abs(most) * 0.05 + 1e-9; least -= Math.abs(least) * 0.05 + 1e-9; }
  const margin = (most - least) * 0.04;
  least -= margin;
  most += margin;
  if (first >= last) first = last - 1;
  const x = step => left + (step - first) / (last - first) * (width - left - right);
  const y = value => height - bottom - (value - least) / (most - least) * (height - top - bottom);
  context.strokeStyle = ink.faint;
  context.fillStyle = ink.muted;
  context.textAlign = 'right';
  for (const t of ticks(least, most, 5)) {
    const at = Math.round(y(t)) + 0.5;
    context.beginPath();
    context.moveTo(left, at);
    context.lineTo(width - right, at);
    context.stroke();
    context.fillText(text(t), left - 6, at);
  }
  context.textAlign = 'center';
  for (const t of ticks(first, last, width / 110))
    if (Number.isInteger(t)) context.fillText(`step ${t}`, Math.min(Math.max(x(t), left + 16), width - 28), height - 10);
  const line = s => {
    context.beginPath();
    let isDown = false;
    s.y.forEach((value, i) => {
      if (value === null) { isDown = false; return; }
      if (isDown) context.lineTo(x(s.x[i]), y(value));
      else context.moveTo(x(s.x[i]), y(value));
      isDown = true;
    });
    context.stroke();
  };
  for (const s of curves) {
    context.strokeStyle = context.fillStyle = ink[s.colour];
    if (s.all) {
      context.save();
      context.beginPath();
      context.rect(left, top, width - left - right, height - top - bottom);
      context.clip();
      context.globalAlpha = 0.25;
      context.lineWidth = 1;
      line(s.all);
      context.restore();
    }
    context.lineWidth = s.all ? 2 : 1.5;
    line(s);
    if (!s.points) continue;
    context.strokeStyle = ink.page;
    s.y.forEach((value, i) => {
      if (value === null) return;
      context.beginPath();
      context.arc(x(s.x[i]), y(value), 4.5, 0, 7);
      context.fill();
      context.stroke();
    });
  }
  return px => first + (px - left) / (width - left - right) * (last - first);
}
