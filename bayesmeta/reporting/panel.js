"use strict";
// Answers questions from the draws embedded in the page, by the rules of `bayesmeta query`.
(function () {
  const root = document.documentElement;
  root.dataset.errors = "0";
  window.addEventListener("error", (event) => {
    root.dataset.errors = String(Number(root.dataset.errors) + 1);
    root.dataset.error = event.message;
  });
  const folded = () => document.querySelectorAll("details");
  window.addEventListener("beforeprint", () => folded().forEach((one) => {
    one.dataset.was = one.open ? "open" : "";
    one.open = true;
  }));
  window.addEventListener("afterprint", () => folded().forEach((one) => {
    one.open = one.dataset.was === "open";
  }));
  const source = document.getElementById("draws");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const nDraws = data.chains * data.draws;
  const nBenchmarks = 1 + Math.max(...data.targets.flatMap((target) => target.members));
  const by = (id) => document.getElementById(id);
  const form = by("question");
  const decoded = new Map();

  // ---- draws -------------------------------------------------------------------------------

  function scores(decision) {
    if (!decoded.has(decision)) {
      const text = atob(decision.values);
      const bytes = new Uint8Array(text.length);
      for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
      const view = new DataView(bytes.buffer);
      const values = new Float32Array(bytes.length / 4);
      for (let k = 0; k < values.length; k++) values[k] = view.getFloat32(4 * k, true);
      decoded.set(decision, values);
    }
    return decoded.get(decision);
  }

  function addScores(total, decision, level, members, sign) {
    if (level === decision.base) return; // the others are differences from it
    const place = level < decision.base ? level : level - 1;
    const values = scores(decision);
    for (const b of members) {
      const start = (place * nBenchmarks + b) * nDraws;
      for (let k = 0; k < nDraws; k++) total[k] += (sign * values[start + k]) / members.length;
    }
  }

  function effect(decision, level, over, target) {
    const total = new Float64Array(nDraws);
    addScores(total, decision, level, target.members, 1);
    addScores(total, decision, over, target.members, -1);
    return total;
  }

  function quantile(sorted, q) {
    const place = q * (sorted.length - 1);
    const low = Math.floor(place);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
  }

  function variance(values, mean, less) {
    let total = 0;
    for (const value of values) total += (value - mean) ** 2;
    return total / (values.length - less);
  }

  const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  // Effective number of draws of a mean: split chains, Geyer's initial monotone sequence.
  function effectiveSize(values) {
    const half = Math.floor(data.draws / 2);
    const chains = [];
    for (let c = 0; c < data.chains; c++) {
      const chain = values.subarray(c * data.draws, (c + 1) * data.draws);
      if (half > 1) chains.push(chain.subarray(0, half), chain.subarray(data.draws - half));
      else chains.push(chain);
    }
    const m = chains.length;
    const n = chains[0].length;
    if (n < 4) return values.length;
    const means = chains.map(average);
    const within = average(chains.map((chain, c) => variance(chain, means[c], 1)));
    if (within === 0) return values.length;
    const centre = average(means);
    const total = (within * (n - 1)) / n + variance(means, centre, m > 1 ? 1 : 0);
    const rho = (lag) => {
      if (lag === 0) return 1;
      let sum = 0;
      chains.forEach((chain, c) => {
        for (let t = 0; t + lag < n; t++) sum += (chain[t] - means[c]) * (chain[t + lag] - means[c]);
      });
      return 1 - (within - sum / m / n * (n / (n - 1))) / total;
    };
    let tau = -1;
    let least = Infinity;
    for (let lag = 0; lag + 1 < n; lag += 2) {
      const pair = rho(lag) + rho(lag + 1);
      if (pair < 0) break;
      least = Math.min(least, pair);
      tau += 2 * least;
    }
    return (m * n) / Math.max(tau, 1 / Math.log10(m * n));
  }

  function probability(values, holds) {
    const logical = Float64Array.from(values, (value) => (holds(value) ? 1 : 0));
    const n = logical.length;
    let count = 0;
    for (const one of logical) count += one;
    const p = count / n;
    if (count === 0 || count === n) return { p, mcse: Math.sqrt(((1 / n) * (1 - 1 / n)) / n) };
    return { p, mcse: Math.sqrt((p * (1 - p)) / effectiveSize(logical)) };
  }

  // ---- words -------------------------------------------------------------------------------

  // Digits as Python writes them: exact decimals, ties to even. toFixed rounds ties up.
  function fixed(value, digits) {
    const size = Math.abs(value);
    let text = size.toFixed(digits);
    const exact = size.toFixed(80);
    const cut = exact.indexOf(".") + 1 + digits;
    if (/^50*$/.test(exact.slice(cut)) && Number(text[text.length - 1]) % 2) {
      text = exact.slice(0, digits ? cut : cut - 1);
    }
    return (value < 0 || Object.is(value, -0) ? "-" : "") + text;
  }
  const readable = (text) => text.replace("-", "\u2212");
  const signed = (value, digits = 1) =>
    readable((value < 0 || Object.is(value, -0) ? "" : "+") + fixed(value, digits));
  const percent = (share) => fixed(100 * share, 0) + " %";

  function wordProbability({ p, mcse }) {
    const bound = (x) => String(Number(x.toPrecision(3)));
    if (p >= 1) return "> " + bound(1 - 1 / nDraws);
    if (p <= 0) return "< " + bound(1 / nDraws);
    return fixed(p, p >= 0.005 && p < 0.995 ? 2 : 3) + " (MCSE " + fixed(mcse, 3) + ")";
  }

  const quoted = (name) =>
    /^[\w.-]+$/.test(name) ? name : "'" + name.replaceAll("'", "'\\''") + "'";
  const words = (name) => name.replaceAll("_", " ");
  const count = (n, one, many) => n + " " + (n === 1 ? one : many);
  const range = ([estimate, lower, upper]) =>
    `${signed(estimate)} (${signed(lower)} to ${signed(upper)})`;
  const reverse = (part) => part && [-part[0], -part[2], -part[1]];

  // ---- a question --------------------------------------------------------------------------

  function ask(question) {
    const decision = data.decisions[question.decision];
    const target = data.targets[question.where];
    const values = effect(decision, question.level, question.over, target);
    const sorted = Float64Array.from(values).sort();
    const tail = (1 - data.ci_prob) / 2;
    const margin = question.equivalence;
    const same = ({ pair }) => pair.includes(question.level) && pair.includes(question.over);
    const card = decision.cards.find(same);
    return {
      decision,
      target,
      values: sorted,
      statement:
        `${decision.name}: ${decision.levels[question.level]} > ${decision.levels[question.over]}`,
      helps: probability(values, (value) => value > 0),
      estimate: quantile(sorted, 0.5),
      lower: quantile(sorted, tail),
      upper: quantile(sorted, 1 - tail),
      equivalence: margin,
      ways: {
        helps: probability(values, (value) => value >= margin),
        equivalent: probability(values, (value) => Math.abs(value) < margin),
        hurts: probability(values, (value) => value <= -margin),
      },
      card,
      on: card.on[target.card],
      turned: card.pair[0] !== question.level,
    };
  }

  function practically(ways) {
    let best = "helps";
    for (const name of Object.keys(ways)) if (ways[name].p > ways[best].p) best = name;
    return ways[best].p >= data.prob_identified ? best : "undecided";
  }

  const MARKS = { identified: "\u25cf", "weakly identified": "\u25d0", "prior-dominated": "\u25cb" };
  const MEANINGS = {
    identified: "the data tell the direction, and neither one family nor what comes bundled with " +
      "the decision is the reason",
    "weakly identified": "the data say something, but not apart from what else comes with the " +
      "decision, or not with enough probability",
    "prior-dominated": "the data hardly speak to it: do not read the probability as evidence",
  };

  function evidence(answer) {
    const { card, on, turned } = answer;
    const found = [];
    const sides = card.lms.map(([name, n], k) =>
      `${words(name)}: ${count(n, "lm", "lms")} of ` +
      count(card.lm_families[k][1], "family", "families"));
    if (turned && card.lms[0][0] !== "recorded") sides.reverse();
    found.push(["Behind it", sides.join("; ")]);
    found.push(["Varies inside", `${count(card.varies, "family", "families")}; ` +
      `${percent(card.within_share)} of its variance is inside families`]);
    found.push(["Not recorded", `${percent(card.missing)} of the lms`]);
    const orient = turned ? reverse : (part) => part;
    found.push(["From siblings alone", on.within ? range(orient(on.within)) : "no family varies"]);
    if (on.between) found.push(["From family means alone", range(orient(on.between))]);
    found.push(["Most influential family", `${data.families[on.family]}; without it ` +
      range(orient(on.without))]);
    found.push(["Prior variance removed", percent(on.contraction)]);
    found.push(["Lms that say as much if all pulled alike", fixed(on.effective, 1)]);
    if (card.bundled.length) {
      found.push(["Bundled with", card.bundled.map(([name, share]) =>
        `${words(name)} ${percent(share)}`).join(", ")]);
    }
    return found;
  }

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function show(answer, took) {
    const where = answer.target.by === "overall" ? "over all benchmarks"
      : "on " + (answer.target.by === "benchmark" ? answer.target.label : words(answer.target.name));
    by("asked").textContent = `P(${answer.statement}) ${where}`;
    by("probability").textContent = wordProbability(answer.helps);
    const level = fixed(100 * data.ci_prob, 0);
    by("effect").textContent = `${signed(answer.estimate)} ${data.units}`;
    by("interval").textContent =
      `${level} % interval ${signed(answer.lower)} to ${signed(answer.upper)}`;
    const margin = answer.equivalence;
    by("ways").replaceChildren(
      ...[["helps", `helps by ${margin} points or more`],
        ["equivalent", `within ${margin} points of no difference`],
        ["hurts", `hurts by ${margin} points or more`]].flatMap(([name, text]) => [
        element("dt", text), element("dd", wordProbability(answer.ways[name]))]));
    const practical = practically(answer.ways);
    by("practically").textContent = { helps: "In practice it helps.", hurts: "In practice it hurts.",
      equivalent: "In practice it makes no difference.",
      undecided: "In practice: undecided." }[practical];
    const verdict = answer.on.verdict;
    by("verdict").className = "badge " + verdict.replace(" ", "-");
    by("verdict").textContent = `${MARKS[verdict]} ${verdict}`;
    by("meaning").textContent = MEANINGS[verdict] + ".";
    by("behind").replaceChildren(
      ...evidence(answer).flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
    const name = quoted(answer.target.name);
    const option = { overall: "", benchmark: ` --benchmark ${name}`,
      task_family: ` --task-family ${name}` }[answer.target.by];
    by("command").textContent =
      `bayesmeta query "${answer.statement}"${option} --equivalence ${margin}` +
      (data.shipped ? "" : " --fit FIT.nc");
    draw(answer);
    by("answer").dataset.answer = JSON.stringify({
      statement: answer.statement, target: answer.target.name, probability: answer.helps.p,
      mcse: answer.helps.mcse, estimate: answer.estimate, lower: answer.lower, upper: answer.upper,
      three_way: answer.ways, practically: practical, verdict,
      within: answer.turned ? reverse(answer.on.within) : answer.on.within,
      family: data.families[answer.on.family], milliseconds: took });
  }

  // ---- the drawing -------------------------------------------------------------------------

  const SVG = "http://www.w3.org/2000/svg";
  function shape(tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const name of Object.keys(attributes)) made.setAttribute(name, attributes[name]);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // A hundred dots, each a percent of the posterior, stacked where they lie.
  function draw(answer) {
    const width = 480, height = 150, base = 122, dots = 100;
    const values = Array.from({ length: dots }, (_, k) =>
      quantile(answer.values, (k + 0.5) / dots));
    const edge = 1.15 * Math.max(answer.equivalence, Math.abs(values[0]), Math.abs(values[dots - 1]),
      1e-9);
    const x = (value) => width / 2 + (value / edge) * (width / 2 - 12);
    const parts = [
      shape("rect", { x: x(-answer.equivalence), y: 6, height: base - 6, class: "same",
        width: Math.max(0, x(answer.equivalence) - x(-answer.equivalence)) }),
      shape("line", { x1: x(0), x2: x(0), y1: 6, y2: base, class: "zero" }),
    ];
    const bins = new Map();
    const size = 11;
    values.forEach((value) => {
      const bin = Math.round(x(value) / size);
      bins.set(bin, [...(bins.get(bin) || []), value]);
    });
    const tallest = Math.max(...[...bins.values()].map((bin) => bin.length));
    const step = Math.min(size, (base - 14) / tallest);
    bins.forEach((bin, place) => bin.forEach((value, k) => parts.push(shape("circle", {
      cx: place * size, cy: base - 5 - k * step, r: Math.min(4.6, 0.46 * Math.max(step, 5)),
      class: value > 0 ? "up" : "down" }))));
    parts.push(shape("line", { x1: x(answer.lower), x2: x(answer.upper), y1: base + 5, y2: base + 5,
      class: "interval" }));
    parts.push(shape("circle", { cx: x(answer.estimate), cy: base + 5, r: 4, class: "median" }));
    for (const [value, anchor] of [[-edge, "start"], [0, "middle"], [edge, "end"]]) {
      parts.push(shape("text", { x: Math.min(width - 4, Math.max(4, x(value))), y: height - 6,
        "text-anchor": anchor }, value ? signed(value) : "0"));
    }
    by("dots").replaceChildren(...parts);
  }

  // ---- the form ----------------------------------------------------------------------------

  function fill(select, entries, chosen) {
    select.replaceChildren(...entries.map(([value, text]) => {
      const option = element("option", text);
      option.value = String(value);
      return option;
    }));
    select.value = String(chosen);
  }

  function levelName(decision, level) {
    if (decision.kind === "categorical") return words(level);
    if (decision.kind === "share") return level + " %";
    const size = Number(level);
    for (const [unit, name] of [[1e12, "trillion"], [1e9, "billion"], [1e6, "million"]]) {
      if (size >= unit) return `${Number((size / unit).toPrecision(3))} ${name}`;
    }
    return level;
  }

  function levelNames(decision) {
    return decision.levels.map((level, k) => [k, levelName(decision, level)]);
  }

  function fillLevels(decision, level, over) {
    fill(form.elements.level, levelNames(decision), level);
    fill(form.elements.over, levelNames(decision), over);
  }

  function fillWhere() {
    const groups = { overall: "Everything", task_family: "Task families", benchmark: "Benchmarks" };
    const select = form.elements.where;
    for (const name of Object.keys(groups)) {
      const group = element("optgroup");
      group.label = groups[name];
      data.targets.forEach((target, k) => {
        if (target.by !== name) return;
        const option = element("option",
          target.by === "task_family" ? words(target.label) : target.label);
        option.value = String(k);
        group.append(option);
      });
      select.append(group);
    }
  }

  // The question that the address asks after its #; what it does not know stays as it was.
  function readAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("decision")) return;
    const k = data.decisions.findIndex((one) => one.name === asked.get("decision"));
    if (k < 0) return;
    const decision = data.decisions[k];
    const place = (name, otherwise) => {
      const found = decision.levels.indexOf(asked.get(name));
      return found < 0 ? otherwise : found;
    };
    form.elements.decision.value = String(k);
    fillLevels(decision, place("level", decision.default[0]), place("over", decision.default[1]));
    const [kind, ...rest] = (asked.get("where") || "overall:overall").split(":");
    const where = data.targets.findIndex((one) => one.by === kind && one.name === rest.join(":"));
    form.elements.where.value = String(Math.max(0, where));
    const margin = Number.parseFloat(asked.get("equivalence"));
    if (margin >= 0 && Number.isFinite(margin)) form.elements.equivalence.value = String(margin);
  }

  function writeAddress(question) {
    const decision = data.decisions[question.decision];
    const target = data.targets[question.where];
    const asked = new URLSearchParams({
      decision: decision.name,
      level: decision.levels[question.level],
      over: decision.levels[question.over],
      where: `${target.by}:${target.name}`,
      equivalence: String(question.equivalence),
    });
    try {
      history.replaceState(null, "", "#" + asked);
    } catch {
      // some browsers forbid it for files; the panel works without
    }
  }

  function readForm() {
    const number = (name) => Number(form.elements[name].value);
    return { decision: number("decision"), level: number("level"), over: number("over"),
      where: number("where"), equivalence: number("equivalence") };
  }

  function answer() {
    const start = performance.now();
    const question = readForm();
    const margin = form.elements.equivalence;
    const wrong = margin.value === "" || !(question.equivalence >= 0) ||
      !Number.isFinite(question.equivalence);
    margin.setAttribute("aria-invalid", String(wrong));
    const trouble = wrong ? "The margin has to be a number from 0 up."
      : question.level === question.over ? "Choose two different values." : "";
    by("trouble").textContent = trouble;
    by("found").hidden = trouble !== "";
    if (trouble) {
      delete by("answer").dataset.answer;
      return undefined;
    }
    show(ask(question), 0);
    const shown = by("answer");
    const took = performance.now() - start;
    shown.dataset.answer = JSON.stringify(
      { ...JSON.parse(shown.dataset.answer), milliseconds: took });
    return question;
  }

  function changed() {
    const question = answer();
    if (question) writeAddress(question);
  }

  fill(form.elements.decision, data.decisions.map((one, k) => [k, words(one.name)]), 0);
  fillLevels(data.decisions[0], ...data.decisions[0].default);
  fillWhere();
  readAddress();
  form.elements.decision.addEventListener("change", () => {
    const decision = data.decisions[Number(form.elements.decision.value)];
    fillLevels(decision, ...decision.default);
  });
  by("turn").addEventListener("click", () => {
    const { level, over } = form.elements;
    [level.value, over.value] = [over.value, level.value];
    changed();
  });
  form.addEventListener("change", changed);
  form.elements.equivalence.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => {
    readAddress();
    answer();
  });
  answer();
})();
