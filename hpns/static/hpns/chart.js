"use strict";
// Draws each chart of parts/chart.html with uPlot, from the figures that stand beside it. Without a script there is the
// table of the same figures.
(() => {
  const dashes = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const lines = ["solid", "dashed", "dotted", "dashed"];
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  const figures = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });

  function moments(_plot, ticks, _axis, _space, step) {
    return ticks.map((at) => {
      const date = new Date(at * 1000);
      return step >= 86400 || (date.getHours() === 0 && date.getMinutes() === 0) ? day.format(date) : clock.format(date);
    });
  }

  function bands(chart, plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.globalAlpha = 0.16;
    for (const band of chart.bands || []) {
      const [from, to] = [band.from, band.to].map((at) => Math.min(Math.max(plot.valToPos(at, "x", true), bbox.left), bbox.left + bbox.width));
      ctx.fillStyle = colour(`--${band.kind || "warn"}`);
      ctx.fillRect(from, bbox.top, Math.max(to - from, 2), bbox.height);
    }
    ctx.restore();
  }

  function draw(place) {
    const chart = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "13px system-ui, sans-serif" };
    const series = chart.series.map((one, index) => ({
      label: one.label,
      stroke: colour(`--series-${index % 4 + 1}`),
      dash: dashes[index % 4],
      width: 2,
      spanGaps: false,
      value: (_plot, value, _series, at) => at == null ? "" : value == null ? "no data" : `${figures.format(value)} ${chart.unit}`,
    }));
    place.replaceChildren();
    const plot = new uPlot({
      width: place.clientWidth,
      height: 260,
      series: [{ label: "Time", value: (_plot, at) => at == null ? "" : `${day.format(at * 1000)}, ${clock.format(at * 1000)}` }, ...series],
      axes: [{ ...axis, values: moments, space: 64 }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => figures.format(tick)) }],
      legend: { markers: { width: 2, dash: (_plot, index) => lines[(index - 1) % 4], fill: () => "transparent" } },
      scales: { y: { range: { min: { soft: 0, mode: 1, pad: 0 }, max: { pad: 0.1 } } } },
      hooks: { drawClear: [(drawn) => bands(chart, drawn)] },
    }, [chart.times, ...chart.series.map((one) => one.values)], place);
    return plot;
  }

  const places = [...document.querySelectorAll("[data-chart]")];
  const plots = new Map();
  const drawAll = () => places.forEach((place) => plots.set(place, draw(place)));
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) plots.get(target)?.setSize({ width: target.clientWidth, height: 260 });
  });
  drawAll();
  places.forEach((place) => resized.observe(place));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
