"use strict";
// Data arrive as scripts, since a page opened from disk may not fetch files. Each script calls SemantiSeg.receive.
const SemantiSeg = { cases: new Map(), catalogue: null };

(() => {
  const waiting = new Map();
  const KEPT = 12; // volumes held in memory; a sheet is about half a megabyte

  SemantiSeg.receive = (kind, name, content) => {
    if (kind === "catalogue") {
      SemantiSeg.catalogue = content;
      document.addEventListener("DOMContentLoaded", () => SemantiSeg.start());
      return;
    }
    SemantiSeg.cases.set(name, content);
    if (SemantiSeg.cases.size > KEPT) SemantiSeg.cases.delete(SemantiSeg.cases.keys().next().value);
  };

  const script = (address) => new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = address;
    element.onload = () => { element.remove(); resolve(); };
    element.onerror = () => reject(new Error(`${address}: expected the data of a case, got none. Build the site again.`));
    document.head.append(element);
  });

  const picture = (address) => new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error(`${address}: expected the slices of a case, got none. Build the site again.`));
    image.src = address;
  });

  // The case with its sheet of slices; loaded once, whoever asks meanwhile.
  SemantiSeg.load = (entry) => {
    const known = SemantiSeg.cases.get(entry.id);
    if (known && known.sheet) return Promise.resolve(known);
    if (!waiting.has(entry.id)) {
      const both = Promise.all([script(`data/${entry.file}.js`), picture(`data/${entry.file}.png`)]);
      waiting.set(entry.id, both.then(([, sheet]) => Object.assign(SemantiSeg.cases.get(entry.id), { sheet }))
        .finally(() => waiting.delete(entry.id)));
    }
    return waiting.get(entry.id);
  };
})();
