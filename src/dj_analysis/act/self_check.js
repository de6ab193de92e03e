"use strict";
// Scores and judges the answers given on this page; whatever it knows is gone when the page is left.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const words = data.words, rule = data.rule, order = ["none", "orange", "red", "black"];
  const element = (id) => document.getElementById(id);
  const inputs = Array.from(document.querySelectorAll("input, select"));
  let shown = false;

  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  const below = (value, point) => value !== null && value < point - data.slack;

  // One decimal, or as many as it takes not to show a number below a cut point as if it stood on it.
  function figure(value) {
    const cuts = [rule.orange_index, rule.red_index, rule.black_index, rule.dimension];
    let digits = 1;
    while (digits < 6 && cuts.some((cut) => below(value, cut) !== Number(value.toFixed(digits)) < cut)) digits += 1;
    return value.toFixed(digits);
  }

  function typed(input, low, high, fault) {
    const given = input.value.trim() !== "" || input.validity.badInput;
    const value = given ? Number(input.value) : NaN;
    const sound = input.value.trim() !== "" && value >= low && value <= high;
    fault.hidden = !given || sound;
    input.setAttribute("aria-invalid", String(given && !sound));
    return sound ? value : null;
  }

  // The value of an answer after its scale; null where it is open or counts as missing.
  function answer(item, number) {
    const box = document.querySelector('fieldset[data-item="' + number + '"]');
    if (!item.values) return typed(box.querySelector("input"), item.minimum, item.maximum, box.querySelector(".fault"));
    const ticked = box.querySelector("input:checked");
    return ticked ? item.values[Number(ticked.value)] : null;
  }

  function touched(number) {
    const box = document.querySelector('fieldset[data-item="' + number + '"]');
    return data.items[number].values ? box.querySelector("input:checked") !== null : box.querySelector("input").value !== "";
  }

  function points(item, value) {
    if (value === null) return null;
    const raised = item.direction === 1 ? value - item.minimum : item.maximum - value;
    return (100 * raised) / (item.maximum - item.minimum);
  }

  // Nodes come each after its children: a weighted mean of those with a score, if enough of them have one.
  function scores() {
    const found = {};
    data.items.forEach((item, number) => { found[item.code] = points(item, answer(item, number)); });
    data.nodes.forEach((node) => {
      const present = node.children.filter((child) => found[child.code] !== null);
      const weight = present.reduce((sum, child) => sum + child.weight, 0);
      const total = present.reduce((sum, child) => sum + child.weight * found[child.code], 0);
      found[node.code] = present.length >= node.least && weight > 0 ? total / weight : null;
    });
    return found;
  }

  // Every clause that holds, with the level it gives; what was last time raises only what this time's answers give.
  function clauses(index, low) {
    const last = { index: typed(element("last-index"), 0, 100, element("last-fault")), level: order.indexOf(element("last-level").value) };
    const met = [];
    const grave = order.slice(1).reverse();
    const byIndex = grave.find((level) => below(index, rule[level + "_index"]));
    if (byIndex) met.push([byIndex, filled(words.reasons.index, { value: figure(index), point: rule[byIndex + "_index"] })]);
    const byDimensions = grave.find((level) => low.length >= rule[level + "_dimensions"]);
    if (byDimensions) {
      const names = low.map((dimension) => dimension.label).join(words.reasons.separator);
      met.push([byDimensions, filled(words.reasons.dimensions, { count: low.length, point: rule.dimension, names: names })]);
    }
    if (index !== null && last.index !== null && below(index - last.index, -rule.fall)) {
      met.push(["orange", filled(words.reasons.fall, { value: (last.index - index).toFixed(1), point: rule.fall })]);
    }
    const now = gravest(met);
    if (now === 1 && last.level >= 1 && !element("last-closed").checked) met.push(["red", words.reasons.orange_again]);
    if (now === 2 && last.level >= 2) met.push(["black", words.reasons.red_again]);
    return met;
  }

  const gravest = (met) => met.reduce((most, clause) => Math.max(most, order.indexOf(clause[0])), 0);

  function made(tag, name, text) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function replaced(id, nodes) {
    const list = element(id);
    while (list.firstChild) list.removeChild(list.firstChild);
    nodes.forEach((node) => list.appendChild(node));
  }

  function dimensionRow(dimension, score) {
    const row = made("li", below(score, rule.dimension) ? "low" : "");
    row.setAttribute("data-code", dimension.code);
    row.appendChild(made("span", "name", dimension.label));
    if (score === null) {
      row.appendChild(made("span", "missing", words.no_score));
      return row;
    }
    const track = row.appendChild(made("span", "track")), fill = track.appendChild(made("span", "fill"));
    fill.style.width = score + "%";
    const shownPoints = row.appendChild(made("span", "points"));
    if (below(score, rule.dimension)) shownPoints.appendChild(made("small", "", words.low));
    shownPoints.appendChild(made("b", "", figure(score)));
    return row;
  }

  function serviceRow(service, level) {
    const row = made("li");
    row.setAttribute("data-code", service.code);
    row.appendChild(made("strong", "", service.name));
    if (service.contact) row.appendChild(made("span", "contact", service.contact));
    if (service.about) row.appendChild(made("span", "about", service.about));
    const days = rule[level + "_days"];
    if (service.answers && days) row.appendChild(made("span", "days", filled(words.days, { days: days })));
    return row;
  }

  function render() {
    const found = scores(), index = found[data.index];
    const met = clauses(index, data.dimensions.filter((dimension) => below(found[dimension.code], rule.dimension)));
    const level = met.length || index !== null ? order[gravest(met)] : "unknown";
    element("index").textContent = index === null ? "—" : figure(index);
    element("index-note").textContent = index !== null ? words.index_note : met.length ? words.partial : words.no_index;
    element("level").textContent = words.levels[level];
    element("level").setAttribute("data-level", level);
    element("meaning").textContent = words.meaning[level];
    element("why").hidden = met.length === 0;
    replaced("reasons", met.map((clause) => made("li", "", clause[1])));
    replaced("dimensions", data.dimensions.map((dimension) => dimensionRow(dimension, found[dimension.code])));
    const place = Math.max(0, order.indexOf(level));
    const services = data.services.slice().sort((a, b) => a.urgency[place] - b.urgency[place]);
    replaced("services", services.map((service) => serviceRow(service, level)));
  }

  function progress() {
    const done = data.items.filter((item, number) => touched(number)).length;
    element("progress").textContent = filled(words.progress, { done: done, count: data.items.length });
  }

  function changed() {
    progress();
    if (shown) render();
  }

  function clear() {
    shown = false;
    inputs.forEach((input) => {
      if (input.type === "radio" || input.type === "checkbox") input.checked = false;
      else input.value = "";
      input.removeAttribute("aria-invalid");
    });
    document.querySelectorAll(".fault").forEach((fault) => { fault.hidden = true; });
    ["reasons", "dimensions", "services"].forEach((id) => replaced(id, []));
    ["index", "index-note", "level", "meaning"].forEach((id) => { element(id).textContent = ""; });
    element("level").removeAttribute("data-level");
    element("result").hidden = true;
    element("history").open = false;
    progress();
  }

  inputs.forEach((input) => input.addEventListener("input", changed));
  element("show").addEventListener("click", () => {
    shown = true;
    render();
    element("result").hidden = false;
    element("result").scrollIntoView();
    element("result-title").focus({ preventScroll: true });
  });
  document.querySelectorAll("button.clear").forEach((button) => {
    button.addEventListener("click", () => { clear(); window.scrollTo(0, 0); });
  });
  // A browser may put answers back when it returns to a page: leaving and coming both clear.
  window.addEventListener("pagehide", clear);
  window.addEventListener("pageshow", clear);
})();
