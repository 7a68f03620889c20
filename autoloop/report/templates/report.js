"use strict";
(() => {
  const number = new RegExp("^[+\u2212-]?[0-9.]+(e[+-]?[0-9]+)?$");
  const value = (body, column) => {
    const cell = body.rows[0].cells[column];
    const text = (cell.dataset.v ?? cell.textContent).trim();
    return number.test(text) ? Number(text.replace("\u2212", "-")) : text.toLowerCase();
  };
  const order = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "") || 0;
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1;
  };
  const sort = (table, column) => {
    const heads = [...table.tHead.rows[0].cells];
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    for (const head of heads) if (head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = [...table.tBodies].map((body, at) => ({ body, at, key: value(body, column) }));
    keyed.sort((a, b) => {
      const found = order(a.key, b.key);
      return a.key === "" || b.key === "" ? found || a.at - b.at : (down ? -found : found) || a.at - b.at;
    });
    const all = document.createDocumentFragment();
    keyed.forEach(({ body }) => all.append(body));
    table.append(all);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.hasAttribute("aria-sort")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column));
    });
    table.addEventListener("keydown", (event) => {
      if (event.target.tagName !== "SUMMARY" || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
      const rows = [...table.querySelectorAll(".more > td > details > summary")].filter((row) => row.offsetParent);
      const next = rows[rows.indexOf(event.target.closest("tbody").querySelector(".more summary")) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) {
        next.focus();
        event.preventDefault();
      }
    });
  }
  for (const tools of document.querySelectorAll(".tools")) {
    const table = document.getElementById(tools.dataset.for);
    const filter = tools.querySelector("input");
    const told = tools.querySelector("[role=status]");
    const words = (body) => `${body.rows[0].textContent} ${(body.querySelector(".more summary") ?? body).textContent}`.toLowerCase();
    const texts = new Map([...table.tBodies].map((body) => [body, words(body)]));
    tools.hidden = false;
    filter.addEventListener("input", () => {
      const wanted = filter.value.toLowerCase().split(" ").filter(Boolean);
      let shown = 0;
      for (const [body, text] of texts) {
        body.hidden = !wanted.every((word) => text.includes(word));
        shown += !body.hidden;
      }
      told.textContent = wanted.length ? `${shown} of ${texts.size}` : "";
    });
    tools.addEventListener("click", (event) => {
      const wanted = event.target.dataset.do;
      if (!wanted) return;
      for (const details of table.querySelectorAll(".more > td > details")) details.open = wanted === "open" && !details.closest("tbody").hidden;
    });
  }
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const details = target && target.querySelector(".more details");
    if (!details) return;
    target.hidden = false;
    details.open = true;
    details.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
