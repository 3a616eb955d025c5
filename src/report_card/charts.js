// Draws the curves of the report card: ours solid, the report's dashed, theory dotted; a band is the mean ± one standard deviation.
// Where the pointer is, the legend tells each value; with the focus on a chart, the arrow keys move there.
(() => {
  const items = JSON.parse(document.getElementById("charts").textContent);
  // Okabe and Ito's colors, which color-blind readers tell apart; lighter ones on dark ground.
  const dark = matchMedia("screen and (prefers-color-scheme: dark)");
  const palette = () => dark.matches ? ["#56b4e9", "#f0a35e", "#35c79b", "#d8a0c4", "#f0e442", "#b0b0b0", "#9d8df1", "#ff8a80"]
    : ["#0072b2", "#d55e00", "#009e73", "#aa4499", "#7a6a00", "#666666", "#332288", "#882255"];
  const styles = { reproduced: ["solid", undefined], reported: ["dashed", [5, 4]], guide: ["dotted", [2, 3]] };
  const ink = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = value => value == null ? "–" : Math.abs(value) < 1e-3 && value !== 0 ? value.toExponential(2) : String(+value.toPrecision(5));
  const tick = value => value == null ? "" : value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5) ? value.toExponential(0) : digits(value);

  // The curves, and after each that has a spread the two edges of its band.
  const curves = chart => {
    const colors = palette(), names = [], data = [chart.x], series = [], bands = [];
    const least = Math.min(...chart.series.flatMap(({ y }) => y.filter(value => value > 0)));
    for (const { name, origin, y, deviation } of chart.series) {
      const curve = name.replace(/, (ours|report|theory)$/, "");
      if (!names.includes(curve)) names.push(curve);
      const stroke = colors[names.indexOf(curve) % colors.length];
      const [style, dash] = styles[origin];
      series.push({
        label: name, stroke, dash, style, spanGaps: true,
        width: origin === "reproduced" ? 2 : 1.2,
        points: { show: chart.x.length < 15 },
        value: (_, value, __, at) => digits(value) + (at != null && deviation[at] != null ? " ± " + digits(deviation[at]) : ""),
      });
      data.push(y);
      if (deviation.every(value => value == null)) continue;
      for (const sign of [1, -1]) {
        const edge = y.map((value, at) => value == null || deviation[at] == null ? null : value + sign * deviation[at]);
        data.push(chart.y_is_logarithmic ? edge.map(value => value == null ? null : Math.max(value, least)) : edge);
        series.push({ class: "band", stroke: "transparent", width: 0, points: { show: false }, spanGaps: true });
      }
      bands.push({ series: [series.length - 1, series.length], fill: stroke + "30" });
    }
    return { data, series, bands };
  };

  const options = (chart, width, { series, bands }) => {
    const axis = { stroke: () => ink("--faint"), ticks: { stroke: () => ink("--line"), width: 1 }, values: (_, all) => all.map(tick) };
    // A logarithmic grid has ten lines where a label is.
    const grid = is_logarithmic => ({ show: !is_logarithmic, stroke: () => ink("--line"), width: 1 });
    return {
      title: chart.title, width, height: 260, bands,
      scales: { x: { time: false, ...(chart.x_is_logarithmic && { distr: 3 }) }, y: chart.y_is_logarithmic ? { distr: 3 } : {} },
      axes: [
        { ...axis, label: chart.x_label, labelSize: 20, size: 34, grid: grid(chart.x_is_logarithmic) },
        { ...axis, label: chart.y_label, labelSize: 20, size: 58, grid: grid(chart.y_is_logarithmic) },
      ],
      legend: { markers: { width: 2, dash: (plot, index) => plot.series[index].style ?? "none", fill: () => "transparent" } },
      cursor: { points: { size: (plot, index) => plot.series[index].class === "band" ? 0 : 8 } },
      series: [{ label: chart.x_label, value: (_, value) => digits(value) }, ...series],
    };
  };

  const NEAR = 600;
  const shown = new Map();
  const draw = (element, chart) => {
    shown.get(element)?.destroy();
    const drawn = curves(chart);
    shown.set(element, new uPlot(options(chart, element.clientWidth, drawn), drawn.data, element));
  };
  // What is far out of sight is not drawn until it comes near.
  const waiting = new Map();
  const seen = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(({ target }) => {
    seen.unobserve(target);
    draw(target, waiting.get(target));
  }), { rootMargin: NEAR + "px" });
  const move = event => {
    const plot = shown.get(event.currentTarget), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!plot || !step) return;
    event.preventDefault();
    const at = Math.max(0, Math.min(plot.data[0].length - 1, (plot.cursor.idx ?? (step > 0 ? -1 : plot.data[0].length)) + step));
    plot.setCursor({ left: plot.valToPos(plot.data[0][at], "x"), top: 10 });
  };
  for (const [anchor, charts] of items) {
    const place = document.querySelector(`.charts[data-of="${anchor}"]`);
    for (const chart of place ? charts : []) {
      const element = place.appendChild(document.createElement("div"));
      Object.assign(element, { className: "chart", tabIndex: 0, role: "img" });
      element.setAttribute("aria-label", `${chart.title} by ${chart.x_label}: ${chart.series.map(({ name }) => name).join("; ")}`);
      element.style.minHeight = "300px";
      element.addEventListener("keydown", move);
      waiting.set(element, chart);
      if (element.getBoundingClientRect().top < innerHeight + NEAR) draw(element, chart);
      else seen.observe(element);
    }
  }
  new ResizeObserver(() => shown.forEach((plot, element) => plot.setSize({ width: element.clientWidth, height: 260 }))).observe(document.body);
  dark.addEventListener("change", () => shown.forEach((_, element) => draw(element, waiting.get(element))));
  // On paper the pictures stand for the charts.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(details => { details.open = true; }));
})();
