// Loss and metrics over the steps of a training; then everything is drawn for the first time.

function training() {
  const metrics = data.training;
  if (!metrics || metrics.steps.step.length + metrics.evaluations.step.length === 0) return;
  $('training').hidden = false;
  const width = Math.max(1, Math.floor(metrics.steps.step.length / 100));
  const all = [...metrics.steps.step, ...metrics.evaluations.step];
  const range = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
  const hasTests = metrics.evaluations.step.length > 0;
  for (const [name, variable] of [[width > 1 ? `training: every step, and means of ${width}` : 'training', 'series-1'],
    ...(hasTests ? [['test data', 'series-2']] : [])]) {
    const swatch = element('i');
    swatch.style.background = `var(--${variable})`;
    $('training-legend').append(element('li', {}, swatch, name));
  }
  const part = (title, key, text) => {
    const series = [
      { name: 'training', colour: 'series-1', x: metrics.steps.step, y: metrics.steps[key], width },
      { name: 'test data', colour: 'series-2', x: metrics.evaluations.step, y: metrics.evaluations[key], points: true },
    ].filter(s => s.y && s.y.some(v => v !== null));
    const values = series.flatMap(s => s.y.filter(v => v !== null));
    if (values.length < 2) {  // no curve
      if (values.length === 1) $('training-text').append(`${title} of ${series[0].name}: ${text(values[0])}. `);
      return;
    }
    const canvas = element('canvas', { class: 'still', role: 'img', 'aria-label': title });
    $('training-plots').append(element('div', { class: 'plot' }, canvas));
    let stepAt = null;
    drawings.push(() => { stepAt = lineChart(canvas, title, range, series, text); });
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
  for (const name of ['loss', ...metrics.metrics]) part(name.replaceAll('_', ' '), name, value => metricText(name, value));
  part('samples/s', 'samples_per_second', amountText);
}

strategyTable();
operatorTable();
training();
contents();
drawNow();
