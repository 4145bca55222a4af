"use strict";
// The prompt as read: its phrases, its program, the measurements that make it true; and the scores of an answer.
(() => {
  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  SemantiSeg.element = element;
  const words = (key) => key.replaceAll("_", " ");
  SemantiSeg.words = words;

  const ATTRIBUTES = { density: "density", signal: "signal", texture: "texture", shape: "shape", margin: "margin", diameter: "diameter" };
  const REFERENCES = { shell: "the tissue around it", parent: "the structure it lies in" };
  const UNITS = { sd: "standard deviations", share: "of the boundary", ratio: "times the variation", HU: "HU", mm: "mm" };
  const FACTS = {
    agreement: ["agreement of the slice alone with the volume", "", ""],
    excluded_pixels: ["pixels taken away", "", "minus"],
    side_mm: ["distance from the midline", "mm", "side"],
    size_ratio: ["size, against the other one", "times", ""],
    inside: ["share that lies inside", "", "within"],
    touching_pixels: ["pixels that touch", "", "containing"],
    facing_mm: ["distance between centroids on that axis", "mm", "facing"],
  };

  SemantiSeg.showText = (place, prompt) => {
    const parts = [];
    let reached = 0;
    for (const [start, end, role] of prompt.spans) {
      parts.push(prompt.text.slice(reached, start), element("mark", { "data-role": role }, prompt.text.slice(start, end)));
      reached = end;
    }
    place.replaceChildren(...parts, prompt.text.slice(reached));
  };

  const node = ({ operation, atom, arguments: given }) => {
    if (atom) return element("li", {}, element("span", { class: "atom", "data-role": `structure:${given[0]}` }, words(given[0])));
    const said = given.filter((item) => typeof item === "string");
    const head = element("span", { class: "operation", "data-role": `operation:${operation}` }, [operation, ...said].join(" "));
    const children = given.filter((item) => typeof item !== "string").map(node);
    return element("li", {}, head, element("ul", {}, ...children));
  };

  SemantiSeg.showProgram = (place, prompt) => {
    const list = element("ul", {}, node(prompt.program));
    const said = prompt.clauses.map(([attribute, value], index) =>
      element("li", {}, element("span", { class: "attribute", "data-role": `clause:${index}` }, `${words(attribute)}: ${words(value)}`)));
    place.replaceChildren(list, ...(said.length ? [element("ul", {}, ...said)] : []));
  };

  const number = (value, digits = 2) => (value === null || value === undefined ? "–" : Number(value).toFixed(digits));

  const clause = (measured, index) => {
    const name = element("b", {}, `${ATTRIBUTES[measured.attribute] || words(measured.attribute)}: ${words(measured.value)}`);
    const against = measured.reference ? ` against ${REFERENCES[measured.reference] || words(measured.reference)}` : "";
    const text = `${number(measured.number)} ${UNITS[measured.unit] || measured.unit}${against}; clear of the threshold by ${number(measured.margin)}`;
    return element("li", { "data-role": `clause:${index}` }, name, " ", element("span", { class: "number" }, text));
  };

  SemantiSeg.showEvidence = (place, prompt) => {
    const measured = prompt.evidence.clauses || [];
    // Clauses are sorted in both; they are matched by name so that a highlight never lies.
    const clauses = measured.map((item) => clause(item, prompt.clauses.findIndex(([attribute]) => attribute === item.attribute)));
    const facts = Object.entries(prompt.evidence.program || {}).map(([key, value]) => {
      const [label, unit, operation] = FACTS[key] || [words(key), "", ""];
      const role = operation || (key === "size_ratio" ? prompt.program.operation : "");
      const attributes = role ? { "data-role": `operation:${role}` } : {};
      return element("li", attributes, element("b", {}, label), " ", element("span", { class: "number" }, `${number(value, Number.isInteger(value) ? 0 : 2)} ${unit}`));
    });
    const size = element("li", {}, element("b", {}, "target on this slice"), " ", element("span", { class: "number" }, `${prompt.target_pixels} pixels`));
    place.replaceChildren(...clauses, ...facts, size);
  };

  const MORE = [["parent_dice", "Dice with parent", 2, 0], ["predicted_mm2", "Area, mm²", 0, 0]];

  SemantiSeg.showScores = (table, label, answer, other) => {
    if (!answer) { table.replaceChildren(element("caption", {}, "No second model")); return; }
    const verdict = answer.collapsed ? element("span", { class: "collapsed" }, "Collapsed onto the parent")
      : answer.differs ? "Closer to the target than to the parent" : "Target and parent are the same here";
    const rows = [...SemantiSeg.catalogue.metrics, ...MORE].map(([key, name, digits, sense]) => {
      const better = other && sense && answer[key] !== null && other[key] !== null && sense * answer[key] > sense * other[key];
      const cell = element("td", better ? { class: "better" } : {}, number(answer[key], digits));
      return element("tr", {}, element("th", { scope: "row" }, name), cell);
    });
    table.replaceChildren(element("caption", {}, element("span", { class: "hidden" }, `${label}: `), verdict), element("tbody", {}, ...rows));
  };

  SemantiSeg.describe = (label, prompt, answer, loaded) => {
    const where = `Axial slice ${SemantiSeg.view.slice + 1} of ${loaded.depth}`;
    if (SemantiSeg.view.slice !== prompt.slice) return `${where}; the prompt asks about slice ${prompt.slice + 1}.`;
    if (!answer) return `${where}.`;
    return `${where}, answer of ${label}: Dice ${number(answer.dice)}, ${answer.collapsed ? "collapsed onto the parent" : "not collapsed"}.`;
  };

  // Pointing at a phrase, a node or a measurement lights up everything of the same role.
  SemantiSeg.linkRoles = (place) => {
    const light = (event, on) => {
      const source = event.target.closest("[data-role]");
      if (!source) return;
      for (const item of document.querySelectorAll(`[data-role="${CSS.escape(source.dataset.role)}"]`)) item.classList.toggle("lit", on);
    };
    place.addEventListener("pointerover", (event) => light(event, true));
    place.addEventListener("pointerout", (event) => light(event, false));
  };
})();
