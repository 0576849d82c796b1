// Loss and metrics over the steps of a training; then everything is drawn for the first time.

function training() {
  const metrics = data.training;
  if (!metrics || metrics.steps.step.length + metrics.evaluations.step.length === 0) return;
  $('training').hidden = false;
  for (const [name, variable] of [['training', 'series-1'], ['test data', 'series-2']]) {
    const swatch = element('i');
    swatch.style.background = `var(--${variable})`;
    $('training-legend').append(element('li', {}, swatch, name));
  }
  const short = value => String(Number(value.toPrecision(4)));
  const part = (title, key, text) => {
    const series = [
      { name: 'training', colour: 'series-1', x: metrics.steps.step, y: metrics.steps[key] },
      { name: 'test data', colour: 'series-2', x: metrics.evaluations.step, y: metrics.evaluations[key], points: true },
    ].filter(s => s.y && s.y.some(v => v !== null));
    if (series.length === 0) return;
    const canvas = element('canvas', { class: 'still', role: 'img', 'aria-label': title });
    $('training-plots').append(element('div', { class: 'plot' }, canvas));
    let stepAt = null;
    drawings.push(() => { stepAt = lineChart(canvas, title, series, text); });
    canvas.addEventListener('pointermove', event => {
      if (!stepAt) return;
      const step = stepAt(event.clientX - canvas.getBoundingClientRect().left);
      const rows = series.map(s => {
        let nearest = 0;
        s.x.forEach((x, i) => { if (Math.abs(x - step) < Math.abs(s.x[nearest] - step)) nearest = i; });
        return [s.name, `${s.y[nearest] === null ? 'no number' : text(s.y[nearest])} at step ${s.x[nearest]}`];
      });
      tooltip.show(event.clientX, event.clientY, title, rows);
    });
    canvas.addEventListener('pointerleave', () => tooltip.hide());
  };
  part('loss', 'loss', short);
  for (const name of metrics.metrics)
    part(name.replaceAll('_', ' '), name, name.endsWith('accuracy') ? value => `${short(100 * value)} %` : short);
}

strategyTable();
operatorTable();
training();
contents();
drawNow();
