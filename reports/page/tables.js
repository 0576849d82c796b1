// Tables that sort by the column whose heading is clicked.

// A column: {title, of (a second line), value(row) to sort by, text(row) or cell(row), number, wide,
// whole (in one line), descending}
function table(box, columns, rows, sorted, rowClass = () => null) {
  const body = element('tbody');
  const heads = columns.map((column, index) => element('th',
    { scope: 'col', class: column.number ? 'number' : null },
    element('button', { type: 'button', onclick: () => sort(index) },
      column.title, ...(column.of ? [element('small', {}, column.of)] : []))));
  let by = -1, descending = false;

  function cells(row) {
    return columns.map((column, index) => element('td', {
      class: [column.number && 'number', column.wide && 'wide', column.whole && 'whole', index === 0 && 'name'].filter(Boolean).join(' ') || null,
    }, column.cell ? column.cell(row) : column.text ? column.text(row) : String(column.value(row))));
  }
  const lines = rows.map(row => ({ row, line: element('tr', { class: rowClass(row) }, ...cells(row)) }));

  function sort(index, order = null) {
    descending = order !== null ? order : by === index ? !descending : Boolean(columns[index].number && columns[index].descending !== false);
    by = index;
    const key = columns[index].value;
    const keyed = lines.map((entry, place) => ({ ...entry, key: key(entry.row), place }));
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
      const order = typeof a.key === 'string' ? a.key.localeCompare(b.key, 'en', { numeric: true }) : a.key - b.key;
      return (descending ? -order : order) || a.place - b.place;
    });
    body.replaceChildren(...keyed.map(entry => entry.line));
    heads.forEach((head, i) => {
      if (i === index) head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
  }
  sort(sorted.column, sorted.descending);
  box.replaceChildren(element('table', {}, element('thead', {}, element('tr', {}, ...heads)), body));
  box.classList.toggle('long', rows.length > 30);
}

function strategyTable() {
  const search = data.search;
  if (!search) return;
  $('strategies').hidden = false;
  const shown = search.strategies.some(s => s.shown);
  $('search-text').textContent =
    `${plural(search.proposals, 'strategy', 'strategies')} looked at by ${search.searcher}, seed ${search.seed}.` +
    (shown ? ' The marked one is what this page is about.' : ' What this page is about is not among them.');
  table($('strategy-table'), [
    { title: '#', value: s => s.rank, number: true, descending: false },
    { title: 'predicted step', value: s => s.step, text: s => timeText(s.step), number: true, descending: false },
    { title: 'samples/s', value: s => s.samples_per_second, text: s => amountText(s.samples_per_second), number: true },
    { title: 'memory', value: s => s.memory, text: s => bytesText(s.memory), number: true, descending: false },
    { title: 'origin', value: s => s.origin, whole: true },
    { title: 'strategy', value: s => s.strategy, wide: true,
      // Long ones show their beginning, and all of it after a click.
      cell: s => element('div', { class: 'clamp', onclick: event => event.currentTarget.classList.toggle('open') },
        s.feasible ? s.strategy : `not feasible: ${s.why_not} · ${s.strategy}`) },
  ], search.strategies, { column: 0, descending: false }, s => (s.shown ? 'shown' : null));
}

function operatorTable() {
  const rows = data.ops.filter(op => !op.empty);
  const all = times => times.compute + times.transfer + times.update;
  const off = op => all(op.predicted) - all(op.measured);
  const most = measured ? Math.max(1, ...rows.map(op => Math.abs(off(op)))) : 1;
  const times = (title, get, of = '') => ({ title, of, value: get, text: op => (get(op) === 0 ? '–' : timeText(get(op))), number: true });
  const link = op => element('button', { class: 'link', type: 'button', title: 'find in the timeline',
    onclick: () => find.set(op.name, { scroll: true }) }, op.name);
  const name = { title: 'operator', value: op => op.name, cell: link };
  const sizes = [
    { title: 'sent', value: op => op.moved, text: op => (op.moved === 0 ? '–' : bytesText(op.moved)), number: true },
    { title: 'memory', value: op => op.memory, text: op => (op.memory === 0 ? '–' : bytesText(op.memory)), number: true },
    { title: 'costs from', value: op => op.source || '–' },
  ];
  if (!measured) {
    $('operators-text').textContent = 'Predicted times of all devices together, without waiting; memory on the device where an operator needs most.';
    table($('operator-table'), [name,
      { title: 'kind', value: op => op.kind || '–' },
      { title: 'split', value: op => op.split || '–', whole: true },
      { title: 'devices', value: op => op.devices || '–' },
      times('time', op => all(op.predicted)), times('compute', op => op.predicted.compute),
      times('transfer', op => op.predicted.transfer), times('update', op => op.predicted.update), ...sizes,
    ], rows, { column: 4, descending: true });
    return;
  }
  $('operators-text').textContent = 'Times of all devices together, without waiting; memory on the device where an operator needs most. Error: (predicted − measured) ÷ measured.';
  const error = op => relativeError(all(op.predicted), all(op.measured));
  // Two columns of everything are wide enough: what it is stands below the name.
  const placed = op => [op.kind, op.split, op.devices && `on ${op.devices}`].filter(Boolean).join(' ');
  table($('operator-table'), [
    { ...name, cell: op => element('span', {}, link(op), element('small', {}, placed(op))) },
    times('predicted', op => all(op.predicted)), times('measured', op => all(op.measured)),
    { title: 'off by', value: op => Math.abs(off(op)), number: true,
      cell: op => {
        if (off(op) === 0) return '–';
        const bar = element('span', { class: 'bar' });
        bar.style.width = `${Math.round(48 * Math.abs(off(op)) / most)}px`;
        return element('span', {}, bar, (off(op) > 0 ? '+' : '') + timeText(off(op)));
      } },
    { title: 'error', value: op => (error(op) === null ? null : Math.abs(error(op))), number: true,
      cell: op => element('span', Math.abs(error(op)) > 0.2 ? { class: 'off' } : {}, error(op) === null ? '–' : percentText(error(op))) },
    ...['compute', 'transfer', 'update'].flatMap(part => [
      times(part, op => op.predicted[part], 'predicted'), times(part, op => op.measured[part], 'measured')]),
    ...sizes,
  ], rows, { column: 3, descending: true });
}
