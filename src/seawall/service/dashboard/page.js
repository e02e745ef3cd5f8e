// counts spans of time down, and keeps the chosen colours; everything else is the server's
(() => {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const span = (seconds) => {
    const parts = [];
    for (const [name, size] of units) {
      const count = Math.floor(seconds / size);
      seconds -= count * size;
      if (count || (name === "s" && !parts.length)) parts.push(`${count} ${name}`);
    }
    return parts.slice(0, 2).join(" ");
  };
  setInterval(() => {
    const now = Date.now() / 1000;
    for (const element of document.querySelectorAll(".page:not(.frozen) .countdown")) {
      // a refreshed page brings new figures: the count starts again from them
      if (element.seen !== element.dataset.left) {
        element.seen = element.dataset.left;
        element.until = now + Number(element.dataset.left);
      }
      const left = Math.round(element.until - now);
      const shown = left > 0 ? span(left) : "now";
      if (element.textContent !== shown) element.textContent = shown;
    }
  }, 1000);
  window.seawallTheme = (name) => {
    document.cookie = `seawall-theme=${name};path=/;max-age=31536000;samesite=strict`;
    Quasar.Dark.set(name === "auto" ? "auto" : name === "dark");
  };
})();
