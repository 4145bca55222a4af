"use strict";
// What is shown, and its spelling in the address. Keys of the hash are the keys of the view.
(() => {
  SemantiSeg.OVERLAYS = [
    { id: "truth", key: "t", label: "Truth", opacity: 25, on: true },
    { id: "answer", key: "a", label: "Answer", opacity: 35, on: true },
    { id: "parent", key: "p", label: "Parent", opacity: 0, on: false },
    { id: "labels", key: "l", label: "All labels", opacity: 35, on: false },
    { id: "gate", key: "g", label: "Gate map", opacity: 60, on: false },
  ];
  const view = {
    structure: "", level: "", suite: "", patient: "", case: "", prompt: "", slice: null, a: "", b: "",
    brightness: 100, contrast: 100,
    overlays: Object.fromEntries(SemantiSeg.OVERLAYS.map(({ id, on, opacity }) => [id, { on, opacity }])),
  };
  SemantiSeg.view = view;

  const WORDS = ["structure", "level", "suite", "patient", "case", "prompt", "a", "b"];
  const NUMBERS = ["slice", "brightness", "contrast"];
  const within = (text, low, high) => Math.min(high, Math.max(low, Math.round(Number(text)) || 0));

  SemantiSeg.readAddress = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of WORDS) if (given.has(name)) view[name] = given.get(name);
    if (given.has("slice")) view.slice = within(given.get("slice"), 0, 1e4);
    if (given.has("brightness")) view.brightness = within(given.get("brightness"), 50, 200);
    if (given.has("contrast")) view.contrast = within(given.get("contrast"), 50, 300);
    for (const [id, overlay] of Object.entries(view.overlays)) {
      if (!given.has(id)) continue;
      overlay.on = !given.get(id).startsWith("-");
      overlay.opacity = within(given.get(id).replace("-", ""), 0, 100);
    }
    return given.size > 0;
  };

  SemantiSeg.writeAddress = () => {
    const kept = new URLSearchParams();
    for (const name of WORDS) if (view[name] || name === "b") kept.set(name, view[name]);
    for (const name of NUMBERS) if (view[name] !== null) kept.set(name, view[name]);
    for (const [id, { on, opacity }] of Object.entries(view.overlays)) kept.set(id, (on ? "" : "-") + opacity);
    // replaceState, so that scrolling through slices does not fill the browser's history.
    history.replaceState(null, "", `#${kept}`);
  };
})();
