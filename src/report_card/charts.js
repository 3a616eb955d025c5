// Draws the curves of the report card: ours solid, the report's dashed; where the pointer is, the legend tells each value.
(() => {
  const items = JSON.parse(document.getElementById("charts").textContent);
  // Okabe and Ito's colours, which colour-blind readers tell apart; lighter ones on dark ground.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const palette = () => dark.matches ? ["#56b4e9", "#f0a35e", "#35c79b", "#d8a0c4", "#f0e442", "#b0b0b0", "#9d8df1", "#ff8a80"]
    : ["#0072b2", "#d55e00", "#009e73", "#aa4499", "#7a6a00", "#666666", "#332288", "#882255"];
  const ink = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = value => value == null ? "–" : Math.abs(value) < 1e-3 && value !== 0 ? value.toExponential(2) : String(+value.toPrecision(5));

  const tick = value => value == null ? "" : value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5) ? value.toExponential(0) : digits(value);

  const options = (chart, width) => {
    const colours = palette(), names = [];
    // A logarithmic grid has ten lines where a label is.
    const grid = { show: !chart.is_logarithmic, stroke: () => ink("--line"), width: 1 };
    const axis = { stroke: () => ink("--faint"), grid, ticks: { stroke: () => ink("--line"), width: 1 }, values: (_, all) => all.map(tick) };
    const series = chart.series.map(({ name, origin, deviation }) => {
      const curve = name.replace(/, (ours|report|theory)$/, "");
      if (!names.includes(curve)) names.push(curve);
      return {
        label: name,
        stroke: colours[names.indexOf(curve) % colours.length],
        width: origin === "reproduced" ? 2 : 1.2,
        dash: origin === "reproduced" ? undefined : origin === "reported" ? [5, 4] : [2, 3],
        points: { show: chart.x.length < 15 },
        spanGaps: true,
        value: (_, value, __, at) => {
          const spread = at == null ? null : deviation[at];
          return digits(value) + (value != null && spread != null ? " ± " + digits(spread) : "");
        },
      };
    });
    const scale = chart.is_logarithmic ? { distr: 3 } : {};
    return {
      title: chart.title, width, height: 260,
      scales: { x: { time: false, ...scale }, y: scale },
      axes: [{ ...axis }, { ...axis, size: 62 }],
      series: [{ label: chart.abscissa, value: (_, value) => digits(value) }, ...series],
    };
  };

  const NEAR = 600;
  const shown = new Map();
  const draw = (element, chart) => {
    shown.get(element)?.destroy();
    const data = [chart.x, ...chart.series.map(series => series.y)];
    shown.set(element, new uPlot(options(chart, element.clientWidth), data, element));
  };
  // What is far out of sight is not drawn until it comes near.
  const waiting = new Map();
  const seen = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(({ target }) => {
    seen.unobserve(target);
    draw(target, waiting.get(target));
  }), { rootMargin: NEAR + "px" });
  for (const [anchor, charts] of items) {
    const place = document.querySelector(`.charts[data-of="${anchor}"]`);
    for (const chart of place ? charts : []) {
      const element = place.appendChild(document.createElement("div"));
      element.className = "chart";
      element.style.minHeight = "300px";
      waiting.set(element, chart);
      if (element.getBoundingClientRect().top < innerHeight + NEAR) draw(element, chart);
      else seen.observe(element);
    }
  }
  new ResizeObserver(() => shown.forEach((plot, element) => plot.setSize({ width: element.clientWidth, height: 260 }))).observe(document.body);
  dark.addEventListener("change", () => shown.forEach((_, element) => draw(element, waiting.get(element))));
})();
