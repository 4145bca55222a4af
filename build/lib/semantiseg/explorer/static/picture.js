"use strict";
// One slice with its overlays on a canvas. Truth: solid line, answer: dashed, parent: dotted; so grey print tells them apart.
(() => {
  const COLOURS = { truth: [240, 228, 66], answer: [86, 180, 233], parent: [230, 159, 0] };
  const DASHES = { truth: [], answer: [6, 4], parent: [1.5, 4] };
  const LABELS = [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [240, 228, 66]];
  const EDGE = 720; // canvas pixels of the longer side
  SemantiSeg.COLOURS = COLOURS;

  const scratch = document.createElement("canvas");

  const fill = (context, data, colourOf, width, height, scale, alpha) => {
    scratch.width = width;
    scratch.height = height;
    const small = scratch.getContext("2d");
    const pixels = small.createImageData(width, height);
    data.forEach((value, place) => {
      const colour = colourOf(value);
      if (colour) pixels.data.set(colour.length === 4 ? colour : [...colour, 255], place * 4);
    });
    small.putImageData(pixels, 0, 0);
    context.globalAlpha = alpha;
    context.imageSmoothingEnabled = false;
    context.drawImage(scratch, 0, 0, width * scale, height * scale);
    context.globalAlpha = 1;
  };

  const line = (context, path, colour, dash) => {
    context.lineCap = "butt";
    context.setLineDash([]);
    context.strokeStyle = "rgba(0, 0, 0, 0.55)"; // a dark edge keeps light lines visible on bright tissue
    context.lineWidth = 4;
    if (!dash.length) context.stroke(path);
    context.setLineDash(dash);
    context.strokeStyle = `rgb(${colour})`;
    context.lineWidth = 2.2;
    context.stroke(path);
    context.setLineDash([]);
  };

  const mask = (context, runs, name, loaded, scale, opacity) => {
    const { width, height } = loaded;
    const pixels = SemantiSeg.masks.pixels(runs, width * height);
    if (opacity) fill(context, pixels, (value) => (value ? COLOURS[name] : null), width, height, scale, opacity / 100);
    line(context, SemantiSeg.masks.loops(pixels, width, height, scale), COLOURS[name], DASHES[name]);
  };

  const gate = (context, map, loaded, scale, opacity) => {
    // Dark to bright through one hue: a gate of 0 leaves the picture, of 1 covers it.
    const bytes = Uint8Array.from(atob(map.values), (letter) => letter.charCodeAt(0));
    fill(context, bytes, (value) => [204, 121, 167, value], map.width, map.height, (loaded.width * scale) / map.width, opacity / 100);
  };

  SemantiSeg.draw = (canvas, loaded, prompt, answer) => {
    const { view } = SemantiSeg;
    const { width, height, columns } = loaded;
    const scale = EDGE / Math.max(width, height);
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    const column = view.slice % columns;
    const row = Math.floor(view.slice / columns);
    context.filter = `brightness(${view.brightness}%) contrast(${view.contrast}%)`;
    context.imageSmoothingEnabled = true;
    context.drawImage(loaded.sheet, column * width, row * height, width, height, 0, 0, width * scale, height * scale);
    context.filter = "none";
    const { labels, truth, parent, answer: given, gate: gated } = view.overlays;
    if (labels.on) {
      const map = SemantiSeg.masks.labels(loaded.labels[view.slice], width * height);
      const colour = (value) => (value ? LABELS[(value - 1) % LABELS.length] : null);
      if (labels.opacity) fill(context, map, colour, width, height, scale, labels.opacity / 100);
      line(context, SemantiSeg.masks.outline(map, width, height, scale), [255, 255, 255], []);
    }
    if (!prompt || view.slice !== prompt.slice) return;
    if (gated.on && answer && answer.gate) gate(context, answer.gate, loaded, scale, gated.opacity);
    if (parent.on) mask(context, loaded.masks[prompt.parent], "parent", loaded, scale, parent.opacity);
    if (truth.on) mask(context, loaded.masks[prompt.target], "truth", loaded, scale, truth.opacity);
    if (given.on && answer) mask(context, loaded.masks[answer.mask], "answer", loaded, scale, given.opacity);
  };
})();
