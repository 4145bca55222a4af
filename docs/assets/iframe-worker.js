/* Search on pages that are opened from disk. Browsers start no worker from a file, so the search runs in a hidden frame
   and is spoken to as a worker is. MkDocs Material would fetch such a shim from another host. */
"use strict";

if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.title = "Search";
      this.heard = (event) => {
        if (event.source !== this.frame.contentWindow) return;
        const told = new MessageEvent("message", { data: event.data });
        this.dispatchEvent(told);
        if (this.onmessage) this.onmessage(told);
      };
      window.addEventListener("message", this.heard);
      // Messages wait until the search listens; order is kept.
      this.ready = new Promise((resolve) => {
        const begin = () => {
          document.body.appendChild(this.frame);
          this.fill(address, resolve);
        };
        if (document.body) begin();
        else document.addEventListener("DOMContentLoaded", begin);
      });
    }

    fill(address, resolve) {
      const page = this.frame.contentDocument;
      const bridge = page.createElement("script");
      // Said by the frame itself, so that the page knows from where it comes.
      bridge.textContent = "postMessage = (data) => parent.postMessage(data, '*');";
      page.head.appendChild(bridge);
      const search = page.createElement("script");
      search.src = new URL(address, location.href).href;
      search.onload = () => resolve();
      page.head.appendChild(search);
    }

    postMessage(data) {
      this.ready.then(() => {
        const inner = this.frame.contentWindow;
        inner.dispatchEvent(new inner.MessageEvent("message", { data, source: window }));
      });
    }

    terminate() {
      window.removeEventListener("message", this.heard);
      this.frame.remove();
    }
  };
}
