"use strict";
// Looks up the answers of `bayesmeta query` that are embedded in the page.
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
  const source = document.getElementById("answers");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const by = (id) => document.getElementById(id);
  const form = by("question");

  // ---- answers -----------------------------------------------------------------------------

  // About how probable a value below a bound is: the stored quantiles, interpolated.
  function below(quantiles, bound) {
    const n = quantiles.length;
    const k = quantiles.findIndex((value) => value > bound);
    if (k === 0) return 0;
    if (k < 0) return 1;
    const part = (bound - quantiles[k - 1]) / (quantiles[k] - quantiles[k - 1]);
    return (k - 0.5 + part) / n;
  }

  function waysAt(found, margin) {
    const k = data.margins.indexOf(margin);
    if (k >= 0) return found.ways[k].map(([p, mcse]) => ({ p, mcse }));
    const hurts = below(found.quantiles, -margin);
    const helps = 1 - below(found.quantiles, margin);
    return [helps, 1 - helps - hurts, hurts].map((p) => ({ p, mcse: null }));
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
  const signed = (value) => {
    const text = fixed(value, 1);
    return readable(text.startsWith("-") ? text : "+" + text);
  };
  const percent = (share) => fixed(100 * share, 0) + " %";

  function wordProbability({ p, mcse }) {
    const bound = (x) => String(Number(x.toPrecision(3)));
    if (mcse === null) {
      return p > 0.995 ? "about 1" : p < 0.005 ? "about 0" : "about " + fixed(p, 2);
    }
    if (p >= 1) return "> " + bound(1 - 1 / data.draws);
    if (p <= 0) return "< " + bound(1 / data.draws);
    return fixed(p, p >= 0.005 && p < 0.995 ? 2 : 3) + " (MCSE " + fixed(mcse, 3) + ")";
  }

  const quoted = (name) =>
    /^[\w.-]+$/.test(name) ? name : "'" + name.replaceAll("'", "'\\''") + "'";
  const words = (name) => name.replaceAll("_", " ");
  const count = (n, one, many) => n + " " + (n === 1 ? one : many);
  const range = ([estimate, lower, upper]) =>
    `${signed(estimate)} (${signed(lower)} to ${signed(upper)})`;
  const reverse = (part) => part && [-part[0], -part[2], -part[1]];

  const kinds = { effect: "Effect on average", new_setting: "Effect in a new setting",
    association: "Association" };

  // ---- a question --------------------------------------------------------------------------

  function ask(question) {
    const decision = data.decisions[question.decision];
    const target = data.targets[question.where];
    const same = ({ pair }) => pair.includes(question.level) && pair.includes(question.over);
    const card = decision.pairs.find(same);
    const on = card.answers[target.answer];
    const turned = card.pair[0] !== question.level;
    const [p, mcse] = turned ? on.negative : on.positive;
    const [estimate, lower, upper] = turned ? reverse(on.effect) : on.effect;
    const ways = waysAt(on, question.equivalence);
    if (turned) ways.reverse();
    const three = { [data.kind]: { p, mcse, range: [estimate, lower, upper] } };
    for (const [name, other] of Object.entries(on.others)) {
      const [q, error] = turned ? other.negative : other.positive;
      three[name] = { p: q, mcse: error, range: turned ? reverse(other.effect) : other.effect };
    }
    return {
      decision,
      target,
      three,
      statement:
        `${decision.name}: ${decision.levels[question.level]} > ${decision.levels[question.over]}`,
      helps: { p, mcse },
      estimate,
      lower,
      upper,
      dots: turned ? on.quantiles.map((value) => -value).reverse() : on.quantiles,
      equivalence: question.equivalence,
      ways: { helps: ways[0], equivalent: ways[1], hurts: ways[2] },
      card,
      on,
      turned,
    };
  }

  function practically(ways) {
    let best = "helps";
    for (const name of Object.keys(ways)) if (ways[name].p > ways[best].p) best = name;
    return ways[best].p >= data.prob_sure ? best : "undecided";
  }

  function evidence(answer) {
    const { card, on, turned } = answer;
    const found = [];
    const sides = card.lms.map(([name, n], k) =>
      `${words(name)}: ${count(n, "LM", "LMs")} of ` +
      count(card.lm_families[k][1], "family", "families"));
    if (turned && card.lms[0][0] !== "recorded") sides.reverse();
    found.push(["Behind it", sides.join("; ")]);
    found.push(["Varies within", `${count(card.varies, "family", "families")}; ` +
      `${percent(card.within_share)} of its variance is within families`]);
    found.push(["Missing", `for ${percent(card.missing)} of the language models`]);
    const orient = turned ? reverse : (part) => part;
    found.push(["Association within families alone", on.within ? range(orient(on.within)) : "no family varies"]);
    if (on.between) found.push(["Association from means of families alone", range(orient(on.between))]);
    found.push(["Most influential family", `${data.families[on.family]}; association without it ` +
      range(orient(on.without))]);
    found.push(["Posterior contraction", percent(on.contraction)]);
    found.push(["Effective number of LMs", fixed(on.effective, 1)]);
    if (card.confounded.length) {
      found.push(["Confounded with", card.confounded.map(([name, share]) =>
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

  function show(answer, start) {
    const where = answer.target.by === "overall" ? "over all benchmarks"
      : "on " + (answer.target.by === "benchmark" ? answer.target.label : words(answer.target.name));
    by("asked").textContent = `P(${answer.statement}) ${where}`;
    by("probability").textContent = wordProbability(answer.helps);
    const level = fixed(100 * data.ci_prob, 0);
    by("effect").textContent = `${kinds[data.kind]}: ${signed(answer.estimate)} ${data.units}`;
    by("interval").textContent =
      `${level} % interval ${signed(answer.lower)} to ${signed(answer.upper)}`;
    by("kinds").replaceChildren(...Object.keys(kinds).filter((name) => answer.three[name])
      .flatMap((name) => [element("dt", kinds[name]), element("dd",
        `${range(answer.three[name].range)}, P(positive) ${wordProbability(answer.three[name])}`)]));
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
    const [mark, meaning] = data.verdicts[verdict];
    by("verdict").textContent = `${mark} ${verdict}`;
    by("meaning").textContent = meaning + ".";
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
      three: answer.three, three_way: answer.ways, practically: practical, verdict,
      within: answer.turned ? reverse(answer.on.within) : answer.on.within,
      family: data.families[answer.on.family], milliseconds: performance.now() - start });
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
    const width = 480, height = 150, base = 122;
    const values = answer.dots;
    const edge = 1.15 * Math.max(answer.equivalence, Math.abs(values[0]),
      Math.abs(values[values.length - 1]), 1e-9);
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
    if (validMargin(margin)) form.elements.equivalence.value = String(margin);
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

  const validMargin = (margin) => margin >= 0 && Number.isFinite(margin);

  function readForm() {
    const number = (name) => Number(form.elements[name].value);
    return { decision: number("decision"), level: number("level"), over: number("over"),
      where: number("where"), equivalence: number("equivalence") };
  }

  function answer() {
    const start = performance.now();
    const question = readForm();
    const margin = form.elements.equivalence;
    const wrong = margin.value === "" || !validMargin(question.equivalence);
    margin.setAttribute("aria-invalid", String(wrong));
    const trouble = wrong ? "The margin has to be a number from 0 up."
      : question.level === question.over ? "Choose two different values." : "";
    by("trouble").textContent = trouble;
    by("found").hidden = trouble !== "";
    if (trouble) {
      delete by("answer").dataset.answer;
      return undefined;
    }
    show(ask(question), start);
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
