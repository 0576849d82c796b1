// Bytes alive on one device over time, stacked by holder, on the timeline's axis.

const memory = (() => {
  const select = $('memory-device');
  const devices = predicted.memory.map(curve => curve.device);
  const curveOf = (trace, device) => trace.memory.find(curve => curve.device === device);
  const fullest = predicted.memory.reduce((a, b) => (a && a.peak_bytes >= b.peak_bytes ? a : b), null);
  if (!fullest) {
    $('memory').hidden = true;
    return null;
  }
  for (const device of devices)
    select.append(element('option', { value: device, selected: device === fullest.device },
      `${device} (${bytesText(curveOf(predicted, device).peak_bytes)})`));
  const holders = data.names.holder.map(name => name.replace(' ', '-'));
  let device = fullest.device;
  const kTop = 22, kAxis = 20, kTall = 210;

  // The last entry at or before `time`.
  function indexAt(curve, time) {
    let low = 0, high = curve.time.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (curve.time[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
  const sumAt = (curve, i) => curve.held.reduce((sum, held) => sum + held[i], 0);

  function legend() {
    const curve = curveOf(predicted, device);
    $('memory-legend').replaceChildren(element('li', {}, 'at the predicted peak:'), ...data.names.holder.map((name, h) => {
      if (!data.traces.some(trace => curveOf(trace, device)?.held[h].some(v => v > 0))) return '';
      const swatch = element('i');
      swatch.style.background = `var(--${holders[h]})`;
      return element('li', {}, swatch, `${name} `, element('b', {}, bytesText(curve.held[h][curve.peak])));
    }).filter(Boolean));
  }

  const plots = data.traces.map(trace => {
    const canvas = element('canvas', { 'aria-label': `Memory, ${trace.origin}`, role: 'img' });
    const plot = element('div', { class: 'plot' }, canvas);
    $('memory-plots').append(plot);
    return { trace, canvas, plot };
  });

  function draw() {
    const curves = data.traces.map(trace => curveOf(trace, device)).filter(Boolean);
    const most = Math.max(1, ...curves.map(curve => Math.max(curve.peak_bytes, curve.arena))) * 1.08;
    for (const plot of plots) drawPlot(plot, most);
  }

  function drawPlot({ trace, canvas, plot }, most) {
    const width = widthOf(plot), height = onPaper ? 160 : kTall;
    const context = prepare(canvas, width, height);
    const ink = colours('text', 'muted', 'line', 'faint', 'warn', 'page', ...holders);
    const area = timeArea(width);
    const curve = curveOf(trace, device);
    context.fillStyle = ink.text;
    context.textAlign = 'left';
    context.font = `600 12px ${kFont}`;
    context.fillText(`${trace.origin} · device ${device}`, 6, 11);
    context.font = `12px ${kFont}`;
    if (!curve) {
      context.fillText('this trace holds no memory of the device', area.left, height / 2);
      return;
    }
    const bottom = height - kAxis;
    const y = bytes => bottom - bytes / most * (bottom - kTop);
    timeAxis(context, area, height - kAxis / 2, kTop, bottom, ink);
    context.textAlign = 'right';
    context.fillStyle = ink.muted;
    for (const t of byteTicks(most, 5)) {
      const at = Math.round(y(t)) + 0.5;
      context.strokeStyle = ink.faint;
      context.beginPath();
      context.moveTo(area.left, at);
      context.lineTo(area.left + area.width, at);
      context.stroke();
      if (t > 0) context.fillText(bytesText(t), area.left - 6, at);
    }
    context.save();
    context.beginPath();
    context.rect(area.left, 0, area.width, height);
    context.clip();
    const first = indexAt(curve, view.from);
    let last = indexAt(curve, view.to);
    const base = new Float64Array(last - first + 1);
    // After the last change nothing changes until the step ends.
    const endOf = i => (i + 1 < curve.time.length ? curve.time[i + 1] : Math.max(trace.step, curve.time[i]));
    curve.held.forEach((held, h) => {
      context.fillStyle = ink[holders[h]];
      context.beginPath();
      context.moveTo(area.x(curve.time[first]), y(base[0]));
      for (let i = first; i <= last; ++i) {
        const level = y(base[i - first] + held[i]);
        context.lineTo(area.x(curve.time[i]), level);
        context.lineTo(area.x(endOf(i)), level);
      }
      for (let i = last; i >= first; --i) {
        context.lineTo(area.x(endOf(i)), y(base[i - first]));
        context.lineTo(area.x(curve.time[i]), y(base[i - first]));
        base[i - first] += held[i];
      }
      context.fill();
    });
    context.setLineDash([6, 4]);
    context.strokeStyle = ink.muted;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(area.left, y(curve.arena));
    context.lineTo(area.left + area.width, y(curve.arena));
    context.stroke();
    context.setLineDash([]);
    // The peak.
    const from = area.x(curve.time[curve.peak]), level = y(curve.peak_bytes);
    if (from >= area.left - 1 && from <= area.left + area.width) {
      context.fillStyle = context.strokeStyle = ink.warn;
      context.beginPath();
      context.moveTo(from, bottom);
      context.lineTo(from, level);
      context.stroke();
      context.beginPath();
      context.arc(from, level, 4, 0, 7);
      context.fill();
      const text = `peak ${bytesText(curve.peak_bytes)} at ${timeText(curve.time[curve.peak])}`;
      const size = context.measureText(text).width;
      const left = from + 8 + size < area.left + area.width ? from + 8 : from - 8 - size;
      context.fillStyle = ink.page;
      context.globalAlpha = 0.85;
      context.fillRect(left - 3, level - 1, size + 6, 16);
      context.globalAlpha = 1;
      context.fillStyle = ink.warn;
      context.textAlign = 'left';
      context.fillText(text, left, level + 7);
    }
    context.restore();
  }

  for (const { trace, canvas } of plots) {
    const tell = (x, _, event) => {
      const curve = curveOf(trace, device);
      const time = timeArea(canvas.getBoundingClientRect().width).time(x);
      if (!curve || time < view.from || time > view.to) {
        tooltip.hide();
        return;
      }
      const i = indexAt(curve, time);
      const rows = data.names.holder.map((name, h) => [name, curve.held[h][i]]).filter(([, bytes]) => bytes > 0)
        .map(([name, bytes]) => [name, bytesText(bytes)]);
      tooltip.show(event.clientX, event.clientY, `${bytesText(sumAt(curve, i))} at ${timeText(time)}`, rows);
    };
    steer(canvas, { hover: tell, tap: tell, leave: () => tooltip.hide() });
  }
  select.addEventListener('change', () => {
    device = Number(select.value);
    legend();
    redraw();
  });
  legend();
  drawings.push(draw);
  return null;
})();
