"use strict";
// Looks up the answers of `bayesmeta query` that are embedded in the page, and reads between them.
(function () {
  const source = document.getElementById("answers");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const by = (id) => document.getElementById(id);
  const form = by("question");
  form.hidden = false; // without a script there is nothing to fill in

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
    if (k >= 0 && found.ways.length) return found.ways[k].map(([p, mcse]) => ({ p, mcse }));
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

  const isNumber = (decision) => decision.values.length > 0;

  // The stored answer to one pair of levels on a target, turned the way it was asked.
  function stored(decision, target, level, over) {
    const card = decision.pairs.find(({ pair }) => pair.includes(level) && pair.includes(over));
    const on = card.answers[target.answer];
    const turned = card.pair[0] !== level;
    const orient = (part) => (turned && part ? reverse(part) : part);
    const told = (found) => {
      const [p, mcse] = turned ? found.negative : found.positive;
      return { p, mcse, range: orient(found.effect) };
    };
    const three = { [data.kind]: told(on) };
    for (const [name, other] of Object.entries(on.others)) three[name] = told(other);
    return {
      card, on, turned, three, verdicts: [on.verdict], within: orient(on.within), orient,
      dots: turned ? on.quantiles.map((value) => -value).reverse() : on.quantiles,
      ways: (margin) => (turned ? waysAt(on, margin).reverse() : waysAt(on, margin)),
    };
  }

  // Where a value lies among the stored ones: their positions, and their weights.
  function locate(decision, value) {
    const { values } = decision;
    const k = values.indexOf(value);
    if (k >= 0) return [[k, 1]];
    const after = values.findIndex((x) => x > value);
    const scale = decision.log ? Math.log : Number;
    const [x, low, high] = [value, values[after - 1], values[after]].map((one) => scale(one));
    const part = (x - low) / (high - low);
    return [[after - 1, 1 - part], [after, part]];
  }

  // A comparison of any two values, as a mean of stored ones: exact where the score is linear
  // between stored values and draws keep their order.
  function between(decision, target, level, over) {
    const sides = [locate(decision, level), locate(decision, over)];
    let corners = sides[0].flatMap(([i, s]) => sides[1].map(([j, t]) => [i, j, s * t]));
    const pairs = new Set(corners.map(([i, j]) => [i, j].sort().join()));
    if (sides[0].length === 2 && pairs.size === 3) { // both lie between the same two
      const [[low], [high, s]] = sides[0];
      const step = s - sides[1][1][1];
      corners = [step > 0 ? [high, low, step] : [low, high, -step]];
    }
    corners = corners.filter(([i, j, weight]) => i !== j && weight > 0);
    const found = corners.map(([i, j, weight]) => [stored(decision, target, i, j), weight]);
    const mean = (pick) => found.reduce((sum, [one, weight]) =>
      pick(one).map((value, k) => sum[k] + weight * value), pick(found[0][0]).map(() => 0));
    const dots = mean((one) => one.dots);
    const three = {};
    for (const name of Object.keys(found[0][0].three)) {
      three[name] = { p: null, mcse: null, range: mean((one) => one.three[name].range) };
    }
    three[data.kind].p = 1 - below(dots, 0);
    return { card: found[0][0].card, on: null, turned: false, three, dots, within: null,
      verdicts: [...new Set(found.map(([one]) => one.verdicts[0]))],
      ways: (margin) => waysAt({ ways: [], quantiles: dots }, margin) };
  }

  function ask(question) {
    const decision = data.decisions[question.decision];
    const target = data.targets[question.where];
    let { level, over } = question;
    let names;
    if (isNumber(decision)) {
      const places = [level, over].map((value) => decision.values.indexOf(value));
      names = [level, over].map((value, k) =>
        places[k] < 0 ? String(value) : decision.levels[places[k]]);
      if (!places.includes(-1)) [level, over] = places;
    } else {
      names = [decision.levels[level], decision.levels[over]];
    }
    const side = (name) => (isNumber(decision)
      ? decision.words.template.replace("{}", writeValue(decision, Number(name)))
      : decision.words.shown[decision.levels.indexOf(name)]);
    const exact = names.every((name) => decision.levels.includes(name));
    const found = (exact ? stored : between)(decision, target, level, over);
    const [helps, equivalent, hurts] = found.ways(question.equivalence);
    const own = found.three[data.kind];
    const [estimate, lower, upper] = own.range;
    const sides = names.map(side);
    return { ...found, decision, target, exact, names, sides, estimate, lower, upper,
      statement: `${decision.name}: ${names.join(" > ")}`, helps: own,
      equivalence: question.equivalence, ways: { helps, equivalent, hurts } };
  }

  function practically(ways) {
    let best = "helps";
    for (const name of Object.keys(ways)) if (ways[name].p > ways[best].p) best = name;
    return ways[best].p >= data.prob_sure ? best : "undecided";
  }

  function evidence(answer) {
    const { card, on, turned, orient } = answer;
    const found = [];
    const sides = card.lms.map(([name, n], k) =>
      `${words(name)}: ${count(n, "LM", "LMs")} of ` +
      count(card.lm_families[k][1], "family", "families"));
    if (turned && card.lms[0][0] !== "recorded") sides.reverse();
    found.push(["Behind it", sides.join("; ")]);
    found.push(["Varies within", `${count(card.varies, "family", "families")}; ` +
      `${percent(card.within_share)} of its variance is within families`]);
    found.push(["Missing", `for ${percent(card.missing)} of the language models`]);
    if (on) {
      found.push(["Association within families alone",
        on.within ? range(orient(on.within)) : "no family varies"]);
      if (on.between) {
        found.push(["Association from means of families alone", range(orient(on.between))]);
      }
      found.push(["Most influential family",
        `${data.families[on.family]}; association without it ${range(orient(on.without))}`]);
      found.push(["Posterior contraction", percent(on.contraction)]);
      found.push(["Effective number of LMs", fixed(on.effective, 1)]);
    }
    if (card.confounded.length) {
      found.push(["Confounded with", card.confounded.map(([name, share]) =>
        `${words(name)} ${percent(share)}`).join(", ")]);
    }
    return found;
  }

  // What follows in practice, never stronger than the verdict.
  function wordPractice(answer) {
    const [verdict] = answer.verdicts;
    if (answer.verdicts.length > 1) return "In practice: ask the command below for the verdict.";
    if (verdict === "conflicting") {
      return "In practice: undecided, since experiments and language models disagree.";
    }
    if (verdict === "prior-dominated") {
      return "In practice: undecided, since the data hardly speak to it.";
    }
    const said = { helps: "it helps", hurts: "it hurts", equivalent: "it makes no difference" };
    const found = said[practically(answer.ways)];
    if (!found) return "In practice: undecided.";
    if (verdict === "supported") return `In practice ${found}.`;
    return `In practice ${found}, if the model's adjustment is right: no experiments settle it.`;
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
    by("asked").textContent = `${answer.sides.join(" against ")}, ${where}`;
    const effect = data.kind === "effect";
    by("chance-of").textContent = effect ? "Probability that it helps" : "Probability of higher scores";
    const [large, ...small] = wordProbability(answer.helps).split(" (MCSE");
    by("probability").replaceChildren(large,
      ...small.map((text) => element("small", " (MCSE" + text)));
    const level = fixed(100 * data.ci_prob, 0);
    by("effect").textContent = `${kinds[data.kind]}: ${signed(answer.estimate)} ${data.units}`;
    by("interval").textContent =
      `${level} % interval ${signed(answer.lower)} to ${signed(answer.upper)}`;
    by("kinds").replaceChildren(...Object.keys(kinds).filter((name) => answer.three[name])
      .flatMap((name) => {
        const { p, range: part } = answer.three[name];
        const told = p === null ? "" : `, P(positive) ${wordProbability(answer.three[name])}`;
        return [element("dt", kinds[name]), element("dd", range(part) + told)];
      }));
    const margin = answer.equivalence;
    by("ways").replaceChildren(
      ...[["helps", `helps by ${margin} points or more`],
        ["equivalent", `within ${margin} points of no difference`],
        ["hurts", `hurts by ${margin} points or more`]].flatMap(([name, text]) => [
        element("dt", text), element("dd", wordProbability(answer.ways[name]))]));
    by("practically").textContent = wordPractice(answer);
    by("verdict").replaceChildren(...answer.verdicts.flatMap((verdict, k) => [
      ...(k ? [" or "] : []),
      element("span", `${data.verdicts[verdict][0]} ${verdict}`,
        "badge " + verdict.replace(" ", "-"))]));
    by("meaning").textContent = answer.verdicts.map((name) => data.verdicts[name][1] + ".").join(" ");
    by("about").textContent = answer.exact ? ""
      : "About: read between the stored answers around these values, with the verdict of those. " +
        "The command gives the answer itself.";
    by("behind").replaceChildren(
      ...evidence(answer).flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
    by("command").textContent = command(answer.statement, answer.target) +
      ` --equivalence ${margin}` + (data.shipped ? "" : " --fit FIT.nc");
    draw(answer);
    by("answer").dataset.answer = JSON.stringify({
      statement: answer.statement, target: answer.target.name, probability: answer.helps.p,
      mcse: answer.helps.mcse, estimate: answer.estimate, lower: answer.lower, upper: answer.upper,
      three: answer.three, three_way: answer.ways, practically: practically(answer.ways),
      verdict: answer.verdicts.join(" or "), within: answer.within, exact: answer.exact,
      family: answer.on && data.families[answer.on.family],
      milliseconds: performance.now() - start });
  }

  function command(statement, target) {
    const name = quoted(target.name);
    const option = { overall: "", benchmark: ` --benchmark ${name}`,
      task_family: ` --task-family ${name}` }[target.by];
    return `bayesmeta query "${statement}"${option}`;
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

  const UNITS = { k: 1e3, thousand: 1e3, m: 1e6, million: 1e6, b: 1e9, bn: 1e9, billion: 1e9,
    t: 1e12, trillion: 1e12 };

  // A number as people write it: 30, 30%, 7B, 2 trillion, 8k; NaN if it is none.
  function readValue(decision, text) {
    const found = text.trim().toLowerCase().replace(/(\d),(?=\d{3})/g, "$1").match(
      /^([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*(%|percent|k|m|b|bn|t|[mbt]r?illion|thousand)?$/);
    if (!found) return NaN;
    const [value, unit] = [Number(found[1]), found[2]];
    const share = decision.kind === "share";
    if (!unit) return value;
    if (unit === "%" || unit === "percent") return share ? value : NaN;
    const tokens = decision.name === "context_length" && unit === "k" && Number.isInteger(value);
    if (tokens && value >= 1 && !(value & (value - 1))) return 1024 * value;
    return share ? NaN : Number((value * UNITS[unit]).toPrecision(12));
  }

  function writeValue(decision, value) {
    if (!["n_params", "n_tokens"].includes(decision.name)) return String(value);
    for (const [unit, size] of [["T", 1e12], ["B", 1e9], ["M", 1e6]]) {
      if (value >= size) return Number((value / size).toPrecision(10)) + unit;
    }
    return String(value);
  }

  // Shows the fields that a decision has: levels to pick, or numbers to type.
  function fillLevels(decision, level, over) {
    const numeric = isNumber(decision);
    document.querySelectorAll(".of-levels").forEach((one) => { one.hidden = numeric; });
    document.querySelectorAll(".of-values").forEach((one) => { one.hidden = !numeric; });
    if (!numeric) {
      const names = decision.levels.map((name, k) => [k, words(name)]);
      fill(form.elements.level, names, level);
      fill(form.elements.over, names, over);
      by("range").textContent = "";
      return;
    }
    form.elements.value.value = writeValue(decision, decision.values[level]);
    form.elements.base.value = writeValue(decision, decision.values[over]);
    const known = decision.values.map((value) => writeValue(decision, value));
    by("values").replaceChildren(...known.map((text) => {
      const option = element("option");
      option.value = text;
      return option;
    }));
    const unit = decision.kind === "share" ? "%" : "";
    document.querySelectorAll(".unit").forEach((one) => { one.textContent = unit && `(${unit})`; });
    by("range").textContent = `Any number from ${known[0]} to ${known[known.length - 1]} ${unit}; ` +
      `stored are ${known.join(", ")}.`;
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
    if (!asked.has("decision")) return false;
    const k = data.decisions.findIndex((one) => one.name === asked.get("decision"));
    if (k < 0) return false;
    const decision = data.decisions[k];
    const place = (name, otherwise) => {
      const found = decision.levels.indexOf(asked.get(name));
      return found < 0 ? otherwise : found;
    };
    form.elements.decision.value = String(k);
    fillLevels(decision, place("level", decision.default[0]), place("over", decision.default[1]));
    if (isNumber(decision)) {
      for (const [field, name] of [["value", "level"], ["base", "over"]]) {
        const value = readValue(decision, asked.get(name) || "");
        if (!Number.isNaN(value)) form.elements[field].value = writeValue(decision, value);
      }
    }
    const [kind, ...rest] = (asked.get("where") || "overall:overall").split(":");
    const where = data.targets.findIndex((one) => one.by === kind && one.name === rest.join(":"));
    form.elements.where.value = String(Math.max(0, where));
    const margin = Number.parseFloat(asked.get("equivalence"));
    if (validMargin(margin)) form.elements.equivalence.value = String(margin);
    return true;
  }

  function writeAddress(question, [level, over]) {
    const decision = data.decisions[question.decision];
    const target = data.targets[question.where];
    const asked = new URLSearchParams({
      decision: decision.name,
      level,
      over,
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
    const decision = data.decisions[number("decision")];
    const sides = isNumber(decision)
      ? ["value", "base"].map((name) => readValue(decision, form.elements[name].value))
      : [number("level"), number("over")];
    return { decision: number("decision"), level: sides[0], over: sides[1],
      where: number("where"), equivalence: number("equivalence") };
  }

  function findTrouble(question) {
    const decision = data.decisions[question.decision];
    const margin = form.elements.equivalence;
    const wrong = margin.value === "" || !validMargin(question.equivalence);
    margin.setAttribute("aria-invalid", String(wrong));
    if (wrong) return "The margin has to be a number from 0 up.";
    if (isNumber(decision)) {
      const { values } = decision;
      const [low, high] = [values[0], values[values.length - 1]];
      const sides = [question.level, question.over];
      if (sides.some(Number.isNaN)) return "Type two numbers, such as those that are stored.";
      if (sides.some((value) => !(value >= low && value <= high))) {
        const statement = `${decision.name}: ${sides.join(" > ")}`;
        return `This page answers values from ${writeValue(decision, low)} to ` +
          `${writeValue(decision, high)}. For others: ` +
          command(statement, data.targets[question.where]);
      }
    }
    return question.level === question.over ? "Choose two different values." : "";
  }

  function answer(said) {
    const start = performance.now();
    const question = readForm();
    const trouble = said || findTrouble(question);
    by("trouble").textContent = trouble;
    by("found").hidden = trouble !== "";
    if (trouble) {
      delete by("answer").dataset.answer;
      return undefined;
    }
    const found = ask(question);
    show(found, start);
    return [question, found.names];
  }

  function changed() {
    const asked = answer();
    if (asked) writeAddress(...asked);
  }

  // ---- a typed question --------------------------------------------------------------------

  const fold = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  const SIGN = /->|→|>|<|\bvs\b\.?|\bversus\b|\bagainst\b|\b(?:better|higher|rather) than\b|\bor\b|\bover\b/i;

  // Which level of a categorical decision a side names, by itself or beside the decision's name.
  function findLevel(decision, side) {
    const text = fold(side.replace(/^\s*(?:is|are|does|do)\b/i, ""));
    const alone = decision.words.decision.reduce((left, word) =>
      (left.length > word.length && left.startsWith(word) ? left.slice(word.length) : left), text);
    return decision.words.levels.findIndex((known) => known.includes(text) || known.includes(alone));
  }

  function readLevels(sides) {
    for (const [k, decision] of data.decisions.entries()) {
      if (isNumber(decision)) continue;
      const [level, over] = sides.map((side) => findLevel(decision, side));
      if (level >= 0 && over >= 0) return { decision: k, level, over };
    }
    return undefined;
  }

  function readNumbers(sides) {
    const NUMBER = /[0-9][0-9.,]*(?:e[+-]?[0-9]+)?\s*(?:%|percent|[mbt]r?illion|thousand|bn|[kmbt](?![a-z]))?/i;
    const texts = sides.map((side) => (side.match(NUMBER) || [""])[0]);
    const named = fold(sides.map((side, k) => side.replace(texts[k], " ")).join(" "));
    let best;
    data.decisions.forEach((decision, k) => {
      if (!isNumber(decision)) return;
      for (const word of decision.words.decision) {
        if (named.includes(word) && !(best && best.word.length >= word.length)) best = { k, word };
      }
    });
    if (!best) return undefined;
    const values = texts.map((text) => readValue(data.decisions[best.k], text));
    return values.some(Number.isNaN) ? undefined : { decision: best.k, values };
  }

  // Reads `gqa vs mha on HumanEval` or `code: 30% > 10%`; says what is wrong, or nothing.
  function readTyped() {
    let text = form.elements.typed.value.trim().replace(/[?.!]+$/, "");
    let where = 0;
    const placed = text.match(/^(.*)(?:\s(?:on|in|for)|,)\s+(.+)$/i);
    if (placed) {
      const name = fold(placed[2].replace(/\s+tasks$/i, ""));
      where = data.targets.findIndex((one) => one.words.includes(name));
      if (where < 0) return `"${placed[2]}" is no benchmark or task family of this page.`;
      text = placed[1];
    }
    let sides = text.split(SIGN);
    if (sides.length === 2 && /<|->|→/.test(text)) sides = sides.reverse();
    const found = sides.length === 2 && (readLevels(sides) || readNumbers(sides));
    if (!found) {
      return `This page reads questions such as "${data.examples.join('" or "')}". ` +
        `The command line reads more: bayesmeta query "${text}"`;
    }
    const decision = data.decisions[found.decision];
    form.elements.decision.value = String(found.decision);
    fillLevels(decision, ...(found.values ? decision.default : [found.level, found.over]));
    if (found.values) {
      const [value, base] = found.values.map((one) => writeValue(decision, one));
      form.elements.value.value = value;
      form.elements.base.value = base;
    }
    form.elements.where.value = String(where);
    return "";
  }

  // ---- start -------------------------------------------------------------------------------

  const first = Math.max(0, data.decisions.findIndex((one) => one.name === data.start));
  fill(form.elements.decision, data.decisions.map((one, k) => [k, one.title]), first);
  fillLevels(data.decisions[first], ...data.decisions[first].default);
  fillWhere();
  if (readAddress()) by("panel").scrollIntoView();
  form.elements.decision.addEventListener("change", () => {
    const decision = data.decisions[Number(form.elements.decision.value)];
    fillLevels(decision, ...decision.default);
  });
  by("turn").addEventListener("click", () => {
    const { level, over, value, base } = form.elements;
    [level.value, over.value] = [over.value, level.value];
    [value.value, base.value] = [base.value, value.value];
    changed();
  });
  form.addEventListener("change", (event) => {
    if (event.target !== form.elements.typed) changed();
  });
  form.elements.equivalence.addEventListener("input", changed);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.elements.typed.value.trim()) return;
    const trouble = readTyped();
    if (trouble) answer(trouble);
    else changed();
  });
  window.addEventListener("hashchange", () => {
    if (!readAddress()) return;
    answer();
    by("panel").scrollIntoView();
    by("asked").focus();
  });
  answer();
})();
