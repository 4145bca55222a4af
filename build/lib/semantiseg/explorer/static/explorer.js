"use strict";
// The page: what happens when something is chosen, scrolled or pressed.
(() => {
  const { view, element } = SemantiSeg;
  const at = (id) => document.getElementById(id);
  let loaded = null;
  let shown = [];
  let prompt = null;
  let turn = 0; // a slow case must not overwrite one chosen later

  const label = (model) => SemantiSeg.catalogue.models.find(({ id }) => id === model)?.label || model;

  const draw = () => {
    for (const [side, other] of [["a", "b"], ["b", "a"]]) {
      const answer = prompt.answers[view[side]];
      SemantiSeg.draw(at(`canvas-${side}`), loaded, prompt, answer);
      SemantiSeg.showScores(at(`scores-${side}`), label(view[side]), answer, prompt.answers[view[other]]);
      at(`canvas-${side}`).setAttribute("aria-label", SemantiSeg.describe(label(view[side]), prompt, answer, loaded));
    }
    document.querySelector(".viewers").classList.toggle("alone", !view.b);
    const asked = view.slice === prompt.slice;
    at("slice").value = view.slice;
    at("slice").setAttribute("aria-valuetext", `${view.slice + 1} of ${loaded.depth}${asked ? ", asked" : ""}`);
    at("slice-number").textContent = `${view.slice + 1} / ${loaded.depth}${asked ? ", asked" : ""}`;
    at("back").disabled = asked;
    SemantiSeg.writeAddress();
  };

  const showSlice = (index) => {
    view.slice = Math.min(loaded.depth - 1, Math.max(0, index));
    draw();
  };

  const pick = (chosen, { focus = false, slice = null } = {}) => {
    prompt = chosen;
    view.prompt = chosen.prompt_id;
    SemantiSeg.mark(chosen, { focus });
    at("prompt-title").textContent = `Level ${chosen.level}, ${SemantiSeg.words(chosen.suite)}, ${SemantiSeg.words(chosen.structure)}; phrasing ${SemantiSeg.words(chosen.phrasing)}`;
    SemantiSeg.showText(at("prompt-text"), chosen);
    SemantiSeg.showProgram(at("program"), chosen);
    SemantiSeg.showEvidence(at("evidence"), chosen);
    at("parent-program").textContent = chosen.parent_program;
    showSlice(slice ?? chosen.slice);
    at("status").textContent = `${chosen.text}. ${label(view.a)}: Dice ${chosen.answers[view.a]?.dice?.toFixed(2) ?? "undefined"}.`;
  };

  const showCase = async ({ slice = null } = {}) => {
    SemantiSeg.offer();
    const mine = (turn += 1);
    document.body.setAttribute("aria-busy", "true");
    let arrived;
    try {
      arrived = await SemantiSeg.load(SemantiSeg.entry());
    } catch (error) {
      at("status").textContent = error.message;
      at("prompt-text").textContent = error.message;
      return;
    }
    if (mine !== turn) return;
    loaded = arrived;
    shown = loaded.prompts.filter(SemantiSeg.matches);
    at("slice").max = loaded.depth - 1;
    at("asked").replaceChildren(...[...new Set(shown.map((item) => item.slice))].map((value) => element("option", { value })));
    SemantiSeg.list(shown, pick);
    const wanted = shown.find((item) => item.prompt_id === view.prompt);
    pick(wanted || shown[0], { slice: wanted ? slice : null });
    document.body.removeAttribute("aria-busy");
    document.documentElement.dataset.ready = view.case;
  };

  const overlays = () => {
    const gated = SemantiSeg.catalogue.gated;
    for (const { id, key, label: name } of SemantiSeg.OVERLAYS.filter(({ id }) => id !== "gate" || gated)) {
      const overlay = view.overlays[id];
      const box = element("input", { type: "checkbox", id: `show-${id}`, "aria-keyshortcuts": key });
      const opacity = element("input", { type: "range", min: 0, max: 100, id: `opacity-${id}`, "aria-label": `${name}: opacity of the fill` });
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      const colour = SemantiSeg.COLOURS[id];
      swatch.style.borderColor = colour ? `rgb(${colour})` : id === "gate" ? "#cc79a7" : "#888";
      swatch.style.borderStyle = { answer: "dashed", parent: "dotted" }[id] || "solid";
      box.checked = overlay.on;
      opacity.value = overlay.opacity;
      box.onchange = () => { overlay.on = box.checked; draw(); };
      opacity.oninput = () => { overlay.opacity = Number(opacity.value); draw(); };
      at("overlays").append(element("div", { class: "overlay" }, element("label", {}, box, swatch, name), opacity));
    }
  };

  const models = () => {
    const entries = SemantiSeg.catalogue.models.map(({ id, label: name }) => element("option", { value: id }, name));
    at("model-a").append(...entries);
    at("model-b").append(element("option", { value: "" }, "nothing"), ...entries.map((entry) => entry.cloneNode(true)));
    for (const side of ["a", "b"]) {
      at(`model-${side}`).value = view[side];
      at(`model-${side}`).onchange = (event) => { view[side] = event.target.value; draw(); };
    }
  };

  const swap = () => {
    if (!view.b) return;
    [view.a, view.b] = [view.b, view.a];
    for (const side of ["a", "b"]) at(`model-${side}`).value = view[side];
    draw();
  };

  const step = (by) => {
    const next = shown[shown.indexOf(prompt) + by];
    if (next) pick(next, { focus: document.activeElement?.closest("#prompts") !== null });
  };

  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !loaded || at("help").open) return;
    const typed = event.target.closest("select, input, textarea, summary");
    const arrows = { ArrowUp: () => step(-1), ArrowDown: () => step(1), ArrowLeft: () => showSlice(view.slice - 1), ArrowRight: () => showSlice(view.slice + 1) };
    const overlay = SemantiSeg.OVERLAYS.find(({ key }) => key === event.key);
    const letters = { 0: () => showSlice(prompt.slice), s: swap, "?": () => at("help").showModal() };
    let action = null;
    // Arrows belong to a menu or slider while it has the focus; up and down scroll the page unless the list has it.
    if (event.key in arrows && !typed) action = arrows[event.key];
    else if (at("keys").checked && !event.target.closest("select")) action = overlay ? () => at(`show-${overlay.id}`)?.click() : letters[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };

  const wheel = (event) => {
    if (!loaded || !event.deltaY) return;
    event.preventDefault();
    showSlice(view.slice + Math.sign(event.deltaY));
  };

  const listen = () => {
    for (const name of ["structure", "level", "suite", "patient", "case"]) {
      at(name).onchange = (event) => { view[name] = event.target.value; showCase(); };
    }
    at("slice").oninput = (event) => showSlice(Number(event.target.value));
    at("back").onclick = () => showSlice(prompt.slice);
    for (const name of ["brightness", "contrast"]) {
      at(name).value = view[name];
      at(name).oninput = (event) => { view[name] = Number(event.target.value); draw(); };
    }
    for (const side of ["a", "b"]) at(`canvas-${side}`).addEventListener("wheel", wheel, { passive: false });
    at("help-open").onclick = () => at("help").showModal();
    document.addEventListener("keydown", keys);
    window.addEventListener("hashchange", () => { SemantiSeg.readAddress(); restore(); });
    for (const id of ["prompt-text", "program", "evidence"]) SemantiSeg.linkRoles(at(id));
    if (matchMedia("(max-width: 52rem)").matches) at("filters").open = false;
  };

  // The controls as the address says, after somebody followed a link within the page.
  const restore = () => {
    repair();
    for (const side of ["a", "b"]) at(`model-${side}`).value = view[side];
    for (const name of ["brightness", "contrast"]) at(name).value = view[name];
    for (const [id, { on, opacity }] of Object.entries(view.overlays)) {
      if (!at(`show-${id}`)) continue;
      at(`show-${id}`).checked = on;
      at(`opacity-${id}`).value = opacity;
    }
    showCase({ slice: view.slice });
  };

  // An address may name what this site does not hold.
  const repair = () => {
    const known = new Set(SemantiSeg.catalogue.models.map(({ id }) => id));
    if (!known.has(view.a)) view.a = SemantiSeg.catalogue.models[0].id;
    if (view.b && !known.has(view.b)) view.b = "";
  };

  SemantiSeg.start = () => {
    const { catalogue } = SemantiSeg;
    at("origin").textContent = `SemantiBench on ${catalogue.origin}: prompts of the test split, what they mean, and what the models answered.`;
    const linked = SemantiSeg.readAddress();
    if (!view.case) Object.assign(view, { case: catalogue.start.case, prompt: catalogue.start.prompt });
    if (!linked && catalogue.models[1]) view.b = catalogue.models[1].id;
    repair();
    overlays();
    models();
    listen();
    showCase({ slice: view.slice });
  };
})();
