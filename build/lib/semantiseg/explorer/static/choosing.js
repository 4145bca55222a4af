"use strict";
// Narrowing down: structure, level and suite decide which patients, images and prompts are offered.
(() => {
  const { view, element, words } = SemantiSeg;
  const at = (id) => document.getElementById(id);
  const any = "";

  const options = (select, entries, chosen) => {
    select.replaceChildren(...entries.map(([value, label]) => element("option", { value }, label)));
    select.value = chosen;
  };

  const counted = (entry, { structure = view.structure, level = view.level, suite = view.suite } = {}) =>
    entry.counts.reduce((sum, [named, degree, kind, count]) =>
      sum + ((!structure || named === structure) && (!level || String(degree) === level) && (!suite || kind === suite) ? count : 0), 0);

  const distinct = (position) => [...new Set(SemantiSeg.catalogue.cases.flatMap((entry) => entry.counts.map((count) => count[position])))].sort();

  SemantiSeg.matches = (prompt) => (!view.structure || prompt.structure === view.structure)
    && (!view.level || String(prompt.level) === view.level) && (!view.suite || prompt.suite === view.suite);

  SemantiSeg.entry = () => SemantiSeg.catalogue.cases.find((entry) => entry.id === view.case);

  // Fill the menus; where the present choice is not offered any more, take the first that is.
  SemantiSeg.offer = () => {
    const offered = SemantiSeg.catalogue.cases.filter((entry) => counted(entry) > 0);
    if (!offered.length) { view.level = any; view.suite = any; if (view.structure && !distinct(0).includes(view.structure)) view.structure = any; }
    const cases = offered.length ? offered : SemantiSeg.catalogue.cases.filter((entry) => counted(entry) > 0);
    const patients = [...new Set(cases.map((entry) => entry.patient_id))];
    if (view.patient && !patients.includes(view.patient)) view.patient = any;
    const images = cases.filter((entry) => !view.patient || entry.patient_id === view.patient);
    if (!images.some((entry) => entry.id === view.case)) view.case = images[0].id;
    options(at("structure"), [[any, "All structures"], ...distinct(0).map((key) => [key, words(key)])], view.structure);
    options(at("level"), [[any, "All levels"], ["1", "L1, a name"], ["2", "L2, described"], ["3", "L3, composed"]], view.level);
    options(at("suite"), [[any, "All suites"], ...distinct(2).map((key) => [key, words(key)])], view.suite);
    options(at("patient"), [[any, `All ${patients.length} patients`], ...patients.map((key) => [key, key])], view.patient);
    options(at("case"), images.map((entry) => [entry.id, `${entry.id.replace(":", ", ")} (${counted(entry)})`]), view.case);
  };

  SemantiSeg.list = (prompts, pick) => {
    const list = at("prompts");
    const items = prompts.map((prompt) => {
      const meta = element("span", { class: "meta" }, `L${prompt.level} · ${words(prompt.suite)} · ${words(prompt.kind)} · slice ${prompt.slice + 1}`);
      return element("li", { role: "option", id: `p-${prompt.prompt_id}`, tabindex: "-1", "aria-selected": "false" }, prompt.text, meta);
    });
    list.replaceChildren(...items);
    at("prompts-count").textContent = `(${prompts.length})`;
    list.onclick = (event) => {
      const item = event.target.closest("li");
      if (item) pick(prompts[items.indexOf(item)], { focus: true });
    };
  };

  SemantiSeg.mark = (prompt, { focus = false } = {}) => {
    for (const item of document.querySelectorAll('#prompts [aria-selected="true"]')) {
      item.setAttribute("aria-selected", "false");
      item.tabIndex = -1;
    }
    const item = at(`p-${prompt.prompt_id}`);
    item.setAttribute("aria-selected", "true");
    item.tabIndex = 0;
    if (focus) item.focus({ preventScroll: true });
    const list = at("prompts");
    const above = item.offsetTop - list.offsetTop;
    // scrollIntoView would move the page too.
    if (above < list.scrollTop || above + item.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = above - list.clientHeight / 3;
  };
})();
