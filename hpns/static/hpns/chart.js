"use strict";
// Draws every figure.chart of the page (templates/parts/chart.html) by uPlot: in the colours of the stylesheet, in the
// viewer's zone. Arrow keys walk along the steps of a plot, as the pointer does; the legend says what stands there.
(() => {
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
  const HEIGHT = 240;
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  // Of charts by calendar day, which is UTC's for everybody.
  const dateInUtc = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const dayInUtc = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
  const moment = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  // What is drawn, by its element; and at which second the cursor of a chart stands, for when its part is exchanged.
  const drawn = new Map();
  const cursors = new Map();
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const width = Math.floor(target.clientWidth);
      const plot = drawn.get(target);
      if (plot && width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  });

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const at = (seconds) => new Date(seconds * 1000);

  function figure(value, unit) {
    if (value == null) return "–";
    if (unit === "ms" && value >= 1000) return `${(value / 1000).toLocaleString("en-GB", { maximumFractionDigits: 2 })} s`;
    const text = value.toLocaleString("en-GB", { maximumFractionDigits: 2 });
    return unit === "ms" || unit === "%" ? `${text} ${unit}` : text;
  }

  // Stacked bars are told apart by hatching, too: no line, slanted, level, upright.
  function hatched(context, place) {
    const fill = colour(`--series-${place + 1}`);
    if (!place) return fill;
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.fillStyle = fill;
    pen.fillRect(0, 0, 8, 8);
    pen.strokeStyle = colour("--bg");
    pen.lineWidth = 1.5;
    for (const [x, y, right, down] of [[[-2, 10, 10, -2], [-2, 2, 2, -2], [6, 10, 10, 6]], [[0, 4, 8, 4]], [[4, 0, 4, 8]]][place - 1]) {
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(right, down);
      pen.stroke();
    }
    return context.createPattern(tile, "repeat");
  }

  // The first series lies at the bottom: its bars are painted last, over those of the sums above it.
  function stacked(series) {
    const sums = [];
    series.forEach(({ values }, place) => {
      sums.push(values.map((value, step) => {
        const below = place ? sums[place - 1][step] : null;
        return value == null ? below : value + (below ?? 0);
      }));
    });
    return sums.reverse();
  }

  function range(unit, low, high) {
    if (unit !== "%") return [0, high > 0 ? high * 1.1 : 1];
    return [Math.max(0, Math.floor(low - Math.max((100 - low) * 0.1, 0.5))), 100];
  }

  function line(plot, seconds) {
    return Math.round(plot.valToPos(seconds, "x", true));
  }

  function bands(plot, all) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.globalAlpha = 0.18;
    ctx.fillStyle = colour("--warn");
    for (const { start, end } of all) {
      const left = Math.max(bbox.left, line(plot, start));
      const right = Math.min(bbox.left + bbox.width, end == null ? Infinity : line(plot, end));
      if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
  }

  function markers(plot, all) {
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("--text");
    ctx.lineWidth = ratio;
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "bottom";
    ctx.textAlign = "center";
    let free = -Infinity;
    all.forEach(({ at: seconds }, place) => {
      const x = line(plot, seconds);
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      // Numbers that would cover each other are left out; the list below has them all.
      if (x - free < 16 * ratio) return;
      free = x;
      ctx.fillText(place + 1, x, bbox.top - 2 * ratio);
    });
    ctx.restore();
  }

  function say(element, data, step) {
    const legend = element.parentElement.querySelector("[data-legend]");
    const when = step == null ? "" : (data.days ? dayInUtc : moment).format(at(data.steps[step]));
    legend.querySelector("[data-at]").textContent = when;
    const values = legend.querySelectorAll("[data-value]");
    values.forEach((each, place) => { each.textContent = step == null ? "" : figure(data.series[place].values[step], data.unit); });
    if (step == null) return;
    element.setAttribute("aria-valuenow", step);
    const figures = data.series.map((one) => `${one.label} ${figure(one.values[step], data.unit)}`);
    element.setAttribute("aria-valuetext", `${when}: ${figures.join(", ")}`);
  }

  function move(plot, data, step) {
    plot.setCursor({ left: plot.valToPos(data.steps[step], "x"), top: 0 });
  }

  // Points without a neighbour: no line would show them.
  const alone = (values) => values.flatMap((value, step) => (value != null && values[step - 1] == null && values[step + 1] == null ? [step] : []));

  function options(element, data) {
    const bars = data.kind === "bars";
    const { steps, unit } = data;
    const last = steps[steps.length - 1];
    const width = steps.length > 1 ? steps[1] - steps[0] : 3600;
    const series = data.series.map((_, place) => (bars
      ? { fill: (plot) => hatched(plot.ctx, place), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.85, 60], align: 1 }) }
      : { points: { filter: (plot, which, shown) => (shown ? null : alone(plot.data[which])) }, stroke: () => colour(`--series-${place + 1}`), width: 2, dash: DASHES[place] }));
    const axis = { stroke: () => colour("--quiet"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    return {
      width: Math.max(200, Math.floor(element.clientWidth)),
      height: HEIGHT,
      padding: [data.markers.length ? 18 : 8, 20, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: !bars } },
      scales: {
        x: { time: true, range: () => [steps[0], bars || steps.length < 2 ? last + width : last] },
        y: { range: (_plot, low, high) => range(unit, low ?? 0, high ?? 0) },
      },
      axes: [
        { ...axis, size: 30, space: 64, values: (_plot, splits) => splits.map((split) => (data.days ? dateInUtc : clock.format(at(split)) === "00:00" ? date : clock).format(at(split))) },
        {
          ...axis,
          values: (_plot, splits) => splits.map((split) => figure(split, unit)),
          size: (_plot, texts) => Math.max(40, 16 + 7 * Math.max(0, ...(texts || []).map((text) => text.length))),
          incrs: unit === "%" || unit === "ms" ? undefined : [1, 2, 5, 10, 20, 50].concat([2, 3, 4, 5, 6, 7, 8].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power))),
        },
      ],
      series: [{}, ...(bars ? series.reverse() : series)],
      hooks: {
        drawAxes: [(plot) => bands(plot, data.bands)],
        draw: [(plot) => markers(plot, data.markers)],
        setCursor: [(plot) => {
          const step = plot.cursor.left >= 0 ? plot.cursor.idx : null;
          if (step == null) cursors.delete(element.id);
          else cursors.set(element.id, steps[step]);
          say(element, data, step);
        }],
      },
    };
  }

  function walk(event, plot, data) {
    const end = data.steps.length - 1;
    const now = plot.cursor.left >= 0 && plot.cursor.idx != null ? plot.cursor.idx : -1;
    const to = { ArrowLeft: Math.max(0, now - 1), ArrowRight: Math.min(end, now + 1), Home: 0, End: end }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(plot, data, to);
  }

  function draw(element) {
    const data = JSON.parse(element.dataset.plot);
    const values = data.kind === "bars" ? stacked(data.series) : data.series.map((one) => one.values);
    const plot = new uPlot(options(element, data), [data.steps, ...values], element);
    drawn.set(element, plot);
    sizes.observe(element);
    element.setAttribute("aria-valuemax", data.steps.length - 1);
    element.addEventListener("keydown", (event) => walk(event, plot, data));
    const step = data.steps.indexOf(cursors.get(element.id));
    if (step >= 0) queueMicrotask(() => move(plot, data, step));
  }

  function all() {
    for (const [element, plot] of drawn) {
      if (element.isConnected) continue;
      sizes.unobserve(element);
      plot.destroy();
      drawn.delete(element);
    }
    for (const element of document.querySelectorAll("[data-plot]")) if (!drawn.has(element)) draw(element);
  }

  for (const media of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    matchMedia(media).addEventListener("change", () => { for (const plot of drawn.values()) plot.redraw(); });
  }
  document.addEventListener("htmx:afterSwap", all);
  all();
})();
