// The drawing of the graph: coloured, sized and searched.

const graph = (() => {
  const box = $('graph-box'), svg = box.querySelector('svg');
  const picture = data.picture;
  if (!svg) {
    box.textContent = 'There is no drawing here; graph.dot holds the picture.';
    for (const id of ['graph-out', 'graph-in', 'graph-fit', 'graph-colour']) $(id).disabled = true;
    return { mark() {} };
  }
  const [, , width, height] = svg.getAttribute('viewBox').split(/[ ,]+/).map(Number);
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  const nodes = new Map(picture.nodes.map((node, index) => [node.id, { node, index }]));

  function paint() {
    const by = $('graph-colour').value;
    for (const [id, { index }] of nodes) {
      const shape = svg.querySelector(`#${id} path, #${id} ellipse, #${id} polygon`);
      if (shape) shape.setAttribute('fill', picture.colours[by][index]);
    }
    $('graph-legend').replaceChildren(...picture.legends[by].map(entry => {
      const swatch = element('i');
      swatch.style.background = entry.colour;
      return element('li', {}, swatch, entry.text);
    }));
  }

  let scale = 1;
  // A unit of the drawing is a point: at scale 1 text is as large as it was meant to be.
  function size() {
    svg.style.width = `${width * 4 / 3 * scale}px`;
    svg.style.height = `${height * 4 / 3 * scale}px`;
  }
  // `least`: smaller than this nothing is read.
  function fit(least) {
    scale = Math.min(1, Math.max((box.clientWidth - 18) / (width * 4 / 3), least));
    size();
  }
  function resize(factor) {
    scale = Math.min(4, Math.max(0.1, scale * factor));
    size();
  }

  for (const by of Object.keys(picture.colours))
    $('graph-colour').append(element('option', { value: by, selected: by === picture.colour }, by));
  $('graph-colour').addEventListener('change', paint);
  $('graph-in').addEventListener('click', () => resize(1.25));
  $('graph-out').addEventListener('click', () => resize(0.8));
  $('graph-fit').addEventListener('click', () => fit(0.05));

  for (const [id, { node }] of nodes) {
    const group = svg.querySelector(`#${id}`);
    if (!group) continue;
    const title = group.querySelector('title');
    if (title)
      title.textContent = node.ops.length === 0 ? node.name
        : `${node.name}: ${timeText(node.time)}, ${bytesText(node.memory)}, sends ${bytesText(node.moved)}`;
    if (node.ops.length > 0)
      group.addEventListener('click', () => find.set(data.ops[node.ops[0]].name, { scroll: true }));
  }
  paint();
  fit(0.55);
  addEventListener('resize', () => fit(0.55));

  // Frames the operators that a search text names.
  function mark(text) {
    for (const [id, { node }] of nodes) {
      const group = svg.querySelector(`#${id}`);
      if (group) group.classList.toggle('found', text !== '' && node.ops.some(op => data.ops[op].name.toLowerCase().includes(text)));
    }
  }
  return { mark };
})();
