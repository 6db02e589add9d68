// What the browser does by itself: copying, the table of a token, folding of side panels, staying at the end.
(() => {
  const narrow = () => matchMedia("(max-width: 820px)").matches;
  const within = (element) => element.scrollHeight - element.scrollTop - element.clientHeight < 90;
  const write = async (text) => {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
    }
  };
  let live;
  const say = (text) => {
    if (!live) {
      live = document.createElement("div");
      live.className = "unseen"; live.setAttribute("role", "status"); document.body.append(live);
    }
    live.textContent = text;
  };
  window.hanlin = {
    async copy(event, text, told) {
      const button = event.currentTarget ?? event.target.closest("button");
      await write(text); say(told); button?.classList.add("done");
      setTimeout(() => button?.classList.remove("done"), 1200);
    },
    toggle(where, open, shut) {
      const element = document.querySelector(where);
      element?.classList.toggle(narrow() ? open : shut);
    },
    narrow(where, open) { if (narrow()) document.querySelector(where)?.classList.remove(open); },
    focus(where) { if (!narrow()) setTimeout(() => document.querySelector(where)?.focus(), 60); },
    bottom() { setTimeout(() => { const one = document.querySelector(".scroller"); if (one) one.scrollTop = one.scrollHeight; }, 60); },
  };
  document.addEventListener("click", (event) => {
    const copy = event.target.closest(".copy-code");
    if (copy) {
      const label = copy.textContent;
      write(copy.closest(".code").querySelector("code").textContent).then(() => {
        copy.textContent = "✓"; setTimeout(() => { copy.textContent = label; }, 1200);
      });
    }
    if (narrow() && event.target.matches(".chat.with-shelf, .chat.with-panel")) event.target.classList.remove("with-shelf", "with-panel");
  });
  // The table of a token.
  let table, at;
  const close = () => { table?.remove(); table = null; at?.classList.remove("at"); at = null; };
  const percent = (p) => p >= 0.9995 ? "100 %" : p < 0.001 ? "< 0.1 %" : `${(p * 100).toFixed(1)} %`;
  const put = () => {
    const box = at.getBoundingClientRect(), own = table.getBoundingClientRect();
    if (box.bottom < 0 || box.top > innerHeight) return close();
    const below = box.bottom + own.height + 12 < innerHeight;
    table.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - own.height - 4)}px`;
    table.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
  };
  const open = (token) => {
    if (at === token) return;
    close(); at = token; token.classList.add("at");
    const { own, p, rows } = JSON.parse(token.dataset.top);
    table = document.createElement("div"); table.className = "alternatives"; table.setAttribute("role", "dialog");
    table.setAttribute("aria-label", `${token.textContent} ${percent(p)}`);
    if (!rows.some((row) => row[1] === own)) rows.push([-1, own, token.textContent, p]);
    for (const [place, id, text, value] of rows) {
      const row = document.createElement("button"); row.type = "button";
      row.className = id === own ? "alternative own" : "alternative";
      const word = Object.assign(document.createElement("span"), { className: "word", textContent: text });
      const bar = Object.assign(document.createElement("span"), { className: "bar-of" });
      bar.style.setProperty("--p", value);
      row.append(word, bar, Object.assign(document.createElement("span"), { className: "p", textContent: percent(value) }));
      const message = token.closest(".tokens").dataset.message;
      row.onclick = () => { if (id === own) return; close(); if (message) emitEvent("branch_token", { message, place, token: id }); };
      table.append(row);
    }
    document.body.append(table);
    put();
    if (token.closest(".tokens") === document.activeElement) say(`${token.textContent} ${percent(p)}: ` + rows.map((row) => `${row[2]} ${percent(row[3])}`).join(", "));
  };
  document.addEventListener("pointerover", (event) => {
    const token = event.target.closest?.(".tok");
    if (token) open(token); else if (table && !event.target.closest?.(".alternatives")) { if (!event.target.closest?.(".tokens")) close(); }
  });
  document.addEventListener("scroll", () => { if (table) put(); }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { close(); document.querySelector(".chat")?.classList.remove("with-shelf", "with-panel"); }
    const group = document.activeElement?.closest?.(".tokens");
    if (!group || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    const all = [...group.querySelectorAll(".tok")], step = event.key === "ArrowRight" ? 1 : -1;
    const next = all[Math.max(0, Math.min(all.length - 1, (at ? all.indexOf(at) : -1) + step))];
    next.scrollIntoView({ block: "nearest" }); setTimeout(() => open(next), 20);
  });
  // An answer that grows keeps its end in sight, unless one reads further up.
  let was = true;
  document.addEventListener("scroll", (event) => { if (event.target.matches?.(".scroller")) was = within(event.target); }, true);
  new MutationObserver(() => {
    const one = document.querySelector(".scroller");
    if (one && was && one.querySelector("[aria-busy]")) one.scrollTop = one.scrollHeight;
  }).observe(document.documentElement, { childList: true, subtree: true, characterData: true });
})();
