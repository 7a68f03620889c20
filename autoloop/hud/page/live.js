// Shows what the hub tells. Everything that comes from it is data: it becomes text, never markup.
"use strict";

const MOST_LINES = 300, MOST_ROWS = 1000, SILENCE = 15000, FIRST_WAIT = 500, LONGEST_WAIT = 5000;
const SYMBOLS = { pass: "✓", fail: "✗", timeout: "✗", error: "!", unsupported: "–", keep: "✓", discard: "·", crash: "!", baseline: "=" };
const TONES = { pass: "good", keep: "good", fail: "bad", timeout: "bad", error: "warn", crash: "warn", unsupported: "quiet", discard: "quiet" };

let model = null;      // the newest snapshot, brought up to date by what followed
let heard = 0;         // when the last message came, by our clock
let skew = 0;          // seconds by which our clock is ahead of the hub's
let socket = null;
let wait = FIRST_WAIT;
let dirty = new Set();
let holding = false;

const $ = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (value !== undefined && value !== "") node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Numbers as people read them

const known = (value) => value !== null && value !== undefined;
const number = (value) => (known(value) ? String(Number(value.toPrecision(6))) : "");
const money = (value) => (known(value) ? `$${value.toFixed(2)}` : "unknown");
const percent = (value, signed) => (known(value) ? `${signed && value > 0 ? "+" : ""}${(100 * value).toFixed(1)} %` : "");

function duration(seconds) {
  if (!known(seconds)) return "";
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  if (whole < 60) return `${whole} s`;
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

function clock(at) {
  return new Date(1000 * at).toLocaleTimeString([], { hour12: false });
}

// The connection

function connect() {
  setLink("connecting", "warn");
  socket = new WebSocket(`ws://${location.host}/events`);
  socket.onmessage = (event) => { wait = FIRST_WAIT; take(JSON.parse(event.data)); };
  socket.onclose = () => {
    setLink("not connected, trying again", "bad");
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  };
}

function setLink(text, tone) {
  $("link").textContent = text;
  $("link").className = `pill ${tone}`;
}

function take(told) {
  heard = Date.now();
  skew = heard / 1000 - told.at;
  setLink("live", "good");
  if (told.kind === "snapshot") {
    model = { ...told, lines: told.output.slice(), heard };
    dirty = new Set(["figures", "arms", "workers", "done", "log"]);
  } else if (model === null || told.seq !== model.seq + 1) {
    socket.close();  // something was missed: begin with a new snapshot
    return;
  } else {
    model.seq = told.seq;
    (TAKE[told.kind] || (() => {}))(told);
  }
  schedule();
}

const TAKE = {
  summary(told) {
    const { kind, seq, at, ...figures } = told;
    Object.assign(model, figures, { heard });
    mark("figures", "arms", "workers");
  },
  task_progress(told) { line(told, told.phase); },
  task_output(told) { line(told, told.text); },
  task_completed(told) { keep(model.finished, told, 200); line(told, [told.outcome, told.failure_mode, told.detail].filter(Boolean).join(": ")); mark("done"); },
  experiment_started(told) { line(told, "started"); },
  experiment_phase(told) { line(told, told.phase); mark("workers"); },
  experiment_output(told) { line(told, told.text); },
  experiment_decided(told) { line(told, `${told.status}: ${told.reason}. ${told.why}`); },
  experiment_row(told) {
    const there = model.rows.findIndex((row) => row.experiment === told.row.experiment);
    if (there >= 0) model.rows[there] = told.row; else keep(model.rows, told.row, MOST_ROWS);
    mark("done", "figures");
  },
  run_resumed(told) { line(told, "resumed"); },
  run_completed(told) { line(told, `ended: ${told.reason} ${told.detail}`); },
  notice(told) { line(told, told.text); },
};

function keep(list, entry, most) {
  list.push(entry);
  if (list.length > most) list.splice(0, list.length - most);
}

function line(told, text) {
  keep(model.lines, { ...told, text }, MOST_LINES);
  mark("log");
}

const mark = (...parts) => parts.forEach((part) => dirty.add(part));

// Drawing

let scheduled = false;

function schedule() {
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => { scheduled = false; draw(); }, 100);
}

function draw() {
  if (model === null) return;
  const parts = dirty;
  dirty = new Set();
  if (parts.has("figures")) drawHead();
  if (parts.has("arms") && model.about === "bench") drawArms();
  if (parts.has("workers")) model.about === "bench" ? drawWorkers() : drawPhase();
  if (parts.has("done")) model.about === "bench" ? drawTrials() : drawExperiments();
  if (parts.has("done") && model.about === "run") drawChart();
  if (parts.has("log")) holding ? dirty.add("log") : drawLog();
}

function drawHead() {
  $("name").textContent = model.name;
  $("where").textContent = `${model.about} ${model.id}, ${model.directory}`;
  const ended = known(model.stop_reason);
  const text = model.alive ? "running" : ended ? `ended: ${model.stop_reason}` : "not running";
  $("state").textContent = text;
  $("state").className = `pill ${model.alive ? "good" : ended ? "" : "warn"}`;
  drawFigures();
}

function drawFigures() {
  const since = model.alive ? (Date.now() - model.heard) / 1000 : 0;
  const eta = known(model.eta_seconds) ? Math.max(0, model.eta_seconds - since) : null;
  const times = [["elapsed", duration(model.elapsed + since)], ["still to go", model.alive ? duration(eta) || "not known yet" : "–"]];
  const costs = [["cost", money(model.cost_usd)], ["tokens", known(model.tokens) ? model.tokens.toLocaleString("en") : "unknown"]];
  const bench = model.about === "bench";
  const shown = [...(bench ? benchFigures() : runFigures()), ...times, ...costs];
  $("figures").replaceChildren(...shown.map(([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", { text: value }))));
  const [done, all] = bench ? [model.totals.done, model.totals.planned] : [model.run.experiments, model.run.max_experiments];
  fill($("bar"), done, all);
  document.title = `${done}/${all} · ${model.name} · autoloop`;
}

function fill(bar, done, all) {
  const share = all ? Math.min(100, (100 * done) / all) : 0;
  bar.hidden = false;
  bar.setAttribute("aria-valuenow", share.toFixed(0));
  bar.firstElementChild.style.width = `${share}%`;
}

function benchFigures() {
  const total = model.totals;
  return [["done", `${total.done} of ${total.planned}`], ["passed", `${total.passed}, ${percent(total.pass_rate) || "–"}`]];
}

function runFigures() {
  const run = model.run;
  return [
    ["experiments", `${run.experiments} of ${run.max_experiments}`],
    ["kept", String(run.kept)],
    [`${run.metric_field}, ${run.direction} is better`, number(run.baseline) || "not measured yet"],
    ["gain", percent(run.gain, true) || "–"],
  ];
}

function cells(names, numeric) {
  return make("thead", {}, make("tr", {}, ...names.map((name, place) => make("th", { scope: "col", class: numeric.has(place) ? "n" : "", text: name }))));
}

function row(values, numeric, options = {}) {
  return make("tr", {}, ...values.map((value, place) => {
    const first = place === 0 && options.head;
    const node = make(first ? "th" : "td", { scope: first ? "row" : undefined, class: numeric.has(place) ? "n" : place === options.wide ? "wide" : "" });
    node.append(value);
    return node;
  }));
}

function tone(word) {
  return make("span", { class: TONES[word] || "", text: `${SYMBOLS[word] || ""} ${word}` });
}

function drawArms() {
  const numeric = new Set([2, 3, 4, 5, 6, 7, 8, 9]);
  const names = ["arm", "progress", "passed", "failed", "timeouts", "errors", "retries", "pass rate", "average time", "cost"];
  const of = (name, tally) => row([
    name, progress(tally), String(tally.passed), String(tally.failed), String(tally.timeout), String(tally.error), String(tally.retries),
    rate(tally), duration(tally.mean_seconds), money(tally.cost_usd),
  ], numeric, { head: true });
  $("arms-part").hidden = false;
  $("arms").replaceChildren(
    cells(names, numeric),
    make("tbody", {}, ...model.arms.map((arm) => of(arm.arm, arm))),
    make("tfoot", {}, of("total", { ...model.totals, cost_usd: model.cost_usd })),
  );
}

function progress(tally) {
  const bar = make("div", { class: "bar" }, make("i"));
  fill(bar, tally.done, tally.planned);
  return make("div", {}, `${tally.done}/${tally.planned}`, bar);
}

function rate(tally) {
  if (!known(tally.pass_rate)) return "";
  return `${percent(tally.pass_rate)} (${(100 * tally.rate.low).toFixed(0)}–${(100 * tally.rate.high).toFixed(0)})`;
}

const trial = (told) => {
  const attempt = told.attempt > 1 ? `, attempt ${told.attempt}` : "";
  return `${told.task}${told.iteration > 1 ? `, iteration ${told.iteration}` : ""}${attempt}`;
};

function drawWorkers() {
  $("workers-part").hidden = false;
  if (!model.workers.length) return empty("workers", model.alive ? "no trial is under way" : "nothing: no process is at work");
  const numeric = new Set([0, 4]);
  const shown = model.workers.map((one) => row([String(one.worker), one.arm, trial(one), one.phase, age(one), one.text], numeric, { wide: 5 }));
  $("workers").replaceChildren(cells(["worker", "arm", "task", "phase", "for", "newest line"], numeric), make("tbody", {}, ...shown));
}

function age(one) {
  return one.since ? duration(Math.max(0, Math.round(Date.now() / 1000 - skew - one.since))) : "";
}

function drawPhase() {
  $("workers-part").hidden = false;
  if (!model.alive) return empty("workers", "nothing: no process is at work");
  const shown = [row([String(model.run.experiment || "baseline"), model.run.phase, model.text || ""], new Set([0]), { wide: 2 })];
  $("workers").replaceChildren(cells(["experiment", "phase", "newest line"], new Set([0])), make("tbody", {}, ...shown));
}

function drawTrials() {
  const only = $("only").checked, numeric = new Set([4, 5, 6]);
  const shown = model.finished.filter((one) => !only || one.outcome !== "pass").reverse();
  if (!shown.length) return empty("done", "nothing yet");
  const names = ["at", "arm", "task", "outcome", "reward", "time", "cost", "why"];
  const rows = shown.map((one) => row([
    clock(one.at), one.arm, trial(one), tone(one.outcome), number(one.reward), duration(one.seconds),
    known(one.cost_usd) ? money(one.cost_usd) : "", [one.failure_mode, one.detail].filter(Boolean).join(": "),
  ], numeric, { wide: 7 }));
  $("done").replaceChildren(cells(names, numeric), make("tbody", {}, ...rows));
}

function drawExperiments() {
  $("only-text").textContent = "only what was kept";
  const only = $("only").checked, numeric = new Set([0, 3, 4, 5, 6]);
  const shown = model.rows.filter((one) => !only || one.status === "keep").reverse();
  if (!shown.length) return empty("done", "nothing yet");
  const names = ["experiment", "verdict", "reason", "metric", "gain", "time", "cost", "what"];
  const rows = shown.map((one) => row([
    String(one.experiment), tone(one.status), one.reason, number(one.metric), percent(one.gain, true), duration(one.seconds),
    known(one.cost_usd) ? money(one.cost_usd) : "", [one.flags.length ? `[${one.flags.join(", ")}]` : "", one.description || one.why].filter(Boolean).join(" "),
  ], numeric, { wide: 7, head: true }));
  $("done").replaceChildren(cells(names, numeric), make("tbody", {}, ...rows));
}

function empty(table, text) {
  $(table).replaceChildren(make("tbody", {}, make("tr", {}, make("td", { class: "empty", text }))));
}

function drawLog() {
  const log = $("log"), below = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.replaceChildren(...model.lines.map((told) => make("p", {}, make("b", { text: `${clock(told.at)} ${whose(told)} ` }), told.text || "")));
  if (!model.lines.length) log.replaceChildren(make("p", { class: "quiet", text: "nothing yet" }));
  if (below) log.scrollTop = log.scrollHeight;
}

function whose(told) {
  if (told.task) return `${told.arm} ${trial(told)}`;
  return known(told.experiment) && told.experiment > 0 ? `experiment ${told.experiment}` : "";
}

// The staircase of kept gains, with every experiment as a dot

function drawChart() {
  const measured = model.rows.filter((one) => known(one.metric));
  $("chart-part").hidden = measured.length < 2;
  if (measured.length < 2) return;
  const wide = Math.max(300, $("chart").clientWidth - 16), high = 176, left = 70, values = measured.map((one) => one.metric);
  const low = Math.min(...values), span = Math.max(...values) - low || Math.abs(low) || 1;
  const last = Math.max(...measured.map((one) => one.experiment), 1);
  const x = (one) => left + ((wide - left - 10) * one.experiment) / last;
  const y = (value) => 14 + (high - 42) * (1 - (value - low) / span);
  const kept = measured.filter((one) => one.status === "keep" || one.status === "baseline");
  const path = kept.map((one, place) => (place ? `H${x(one)}V${y(one.metric)}` : `M${x(one)} ${y(one.metric)}`)).join("") + `H${wide - 10}`;
  const svg = shape("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": `${model.run.metric_field} of each experiment` },
    shape("path", { class: "axis", d: `M${left - 8} 8V${high - 22}H${wide - 10}`, fill: "none" }),
    shape("path", { class: "stair", d: path }),
    ...measured.map((one) => shape("circle", { class: one.status === "baseline" ? "keep" : one.status, cx: x(one), cy: y(one.metric), r: one.status === "keep" ? 4.5 : 3 })),
    label(number(low + span), left - 14, 18), label(number(low), left - 14, high - 24),
    label("0", left + 4, high - 6), label(`experiment ${last}`, wide - 10, high - 6));
  $("chart-title").textContent = `${model.run.metric_field}, ${model.run.direction} is better`;
  $("chart").replaceChildren(svg);
}

function shape(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function label(text, x, y) {
  const node = shape("text", { x, y, "text-anchor": "end" });
  node.textContent = text;
  return node;
}

// What people do

$("only").addEventListener("change", () => { mark("done"); draw(); });
$("hold").addEventListener("click", () => {
  holding = !holding;
  $("hold").setAttribute("aria-pressed", String(holding));
  $("hold").textContent = holding ? "go on" : "hold";
  draw();
});

addEventListener("resize", () => { if (model && model.about === "run") drawChart(); });

setInterval(() => {
  if (model === null) return;
  if (Date.now() - heard > SILENCE && socket.readyState === WebSocket.OPEN) socket.close();
  mark("figures");
  if (model.about === "bench" && model.workers.length) mark("workers");
  draw();
}, 1000);

connect();
