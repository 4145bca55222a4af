"use strict";
// Run lengths to pixels and outlines. Row-major, as displayed; a mask starts with background.
SemantiSeg.masks = {
  pixels(runs, count) {
    const mask = new Uint8Array(count);
    let place = 0;
    runs.forEach((length, index) => {
      if (index % 2) mask.fill(1, place, place + length);
      place += length;
    });
    return mask;
  },

  labels(pairs, count) {
    const map = new Uint8Array(count);
    let place = 0;
    for (let index = 0; index < pairs.length; index += 2) {
      map.fill(pairs[index], place, place + pairs[index + 1]);
      place += pairs[index + 1];
    }
    return map;
  },

  // The border of a mask as closed loops, mask on the right hand, so that dashes run on from edge to edge.
  loops(mask, width, height, scale) {
    const path = new Path2D();
    const at = (row, column) => (row < 0 || column < 0 || row >= height || column >= width ? 0 : mask[row * width + column]);
    const next = new Map(); // corner -> corners that an edge leads to
    const corner = (row, column) => row * (width + 1) + column;
    const edge = (from, to) => (next.has(from) ? next.get(from).push(to) : next.set(from, [to]));
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1) {
        if (!at(row, column)) continue;
        if (!at(row - 1, column)) edge(corner(row, column), corner(row, column + 1));
        if (!at(row, column + 1)) edge(corner(row, column + 1), corner(row + 1, column + 1));
        if (!at(row + 1, column)) edge(corner(row + 1, column + 1), corner(row + 1, column));
        if (!at(row, column - 1)) edge(corner(row + 1, column), corner(row, column));
      }
    }
    const point = (place) => [(place % (width + 1)) * scale, Math.floor(place / (width + 1)) * scale];
    for (const start of next.keys()) {
      while (next.get(start).length) {
        path.moveTo(...point(start));
        for (let place = next.get(start).pop(); place !== start; place = next.get(place).pop()) path.lineTo(...point(place));
        path.closePath();
      }
    }
    return path;
  },

  // The edges between labels, as a path in pixel units scaled by `scale`.
  outline(map, width, height, scale) {
    const path = new Path2D();
    const at = (row, column) => (row < 0 || column < 0 || row >= height || column >= width ? 0 : map[row * width + column]);
    for (let row = 0; row <= height; row += 1) {
      for (let column = 0; column <= width; column += 1) {
        const here = at(row, column);
        if (here !== at(row - 1, column)) {
          path.moveTo(column * scale, row * scale);
          path.lineTo((column + 1) * scale, row * scale);
        }
        if (here !== at(row, column - 1)) {
          path.moveTo(column * scale, row * scale);
          path.lineTo(column * scale, (row + 1) * scale);
        }
      }
    }
    return path;
  },
};
