// Draws the charts, and shows or hides arms and users. All data stand in the page.
"use strict";
const read = (id) => {
  const found = document.getElementById(id);
  return found ? JSON.parse(found.textContent) : null;
};
const counted = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;
const charts = [...document.querySelectorAll(".chart")];
const figures = new Map();
for (const chart of charts) {
  const figure = JSON.parse(chart.nextElementSibling.textContent);
  figures.set(chart, figure);
  Plotly.newPlot(chart, figure.data, figure.layout, {responsive: true, displayModeBar: false});
}

// Plotly keeps the width that it was drawn with; paper is narrower than most screens.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll(".answer details")) folded.open = true;
  for (const chart of charts) Plotly.relayout(chart, {width: 660});
});
addEventListener("afterprint", () => {
  for (const chart of charts) Plotly.relayout(chart, {width: null, autosize: true});
});

// Arms: a box for each; what belongs to an arm has the class arm-<place>, or is a trace so marked.
const arms = [...document.querySelectorAll("#arms-shown input")];
const armRules = document.head.appendChild(document.createElement("style"));
const shownArms = () => new Set(arms.filter((box) => box.checked).map((box) => Number(box.value)));

// Charts with a row for each arm close up where some are hidden.
function showRows(chart, shown) {
  const {data, layout} = figures.get(chart);
  if (!layout.meta || !layout.meta.rows) return;
  const rows = layout.meta.rows.map((_, row) => row).filter((row) => shown.has(layout.meta.rows[row]));
  const place = new Map(rows.map((row, i) => [row, i]));
  Plotly.update(chart, {y: data.map((trace) => trace.y.map((row) => place.get(row) ?? null))}, {
    height: layout.height - layout.meta.step * (layout.meta.rows.length - Math.max(rows.length, 3)),
    "yaxis.tickvals": rows.map((_, i) => i),
    "yaxis.ticktext": rows.map((row) => layout.yaxis.ticktext[row]),
    "yaxis.range": [rows.length - 0.4, -0.6],
  });
}
function showArms() {
  const shown = shownArms();
  const hidden = arms.map((box) => Number(box.value)).filter((arm) => !shown.has(arm));
  armRules.textContent = hidden.map((arm) => `.arm-${arm}{display:none!important}`).join("");
  for (const chart of charts) {
    const traces = figures.get(chart).data;
    const visible = traces.map((trace) => trace.meta === undefined || shown.has(trace.meta));
    if (traces.some((trace) => trace.meta !== undefined)) Plotly.restyle(chart, {visible});
    showRows(chart, shown);
  }
  const told = document.getElementById("arms-told");
  if (told) told.textContent = `${shown.size} of ${arms.length} shown`;
  dispatchEvent(new CustomEvent("arms"));
}
for (const box of arms) box.addEventListener("change", showArms);
for (const button of document.querySelectorAll("[data-arms]")) {
  const few = button.dataset.arms === "all" ? null : button.dataset.arms.split(",");
  button.addEventListener("click", () => {
    for (const box of arms) box.checked = few === null || few.includes(box.value);
    showArms();
  });
}

// Users: by need, by gain or by name, and those alone whose name holds what is typed.
const people = read("people");
const sorting = document.getElementById("users-sorted");
const naming = document.getElementById("users-named");
function orderedUsers() {
  const byName = new Intl.Collator(undefined, {numeric: true}).compare;
  const places = people.names.map((_, place) => place);
  const rank = people[sorting.value];
  places.sort((a, b) => (rank ? rank[a] - rank[b] : byName(people.names[a], people.names[b])));
  const wanted = naming.value.trim().toLowerCase();
  return places.filter((place) => people.names[place].toLowerCase().includes(wanted));
}
function showUsers() {
  const order = orderedUsers();
  const row = new Map(order.map((user, place) => [user, place]));
  for (const group of document.querySelectorAll("[data-users]")) {
    const own = [...group.querySelectorAll("[data-user]")];
    own.sort((a, b) => (row.get(Number(a.dataset.user)) ?? 1e9) - (row.get(Number(b.dataset.user)) ?? 1e9));
    for (const element of own) {
      element.hidden = !row.has(Number(element.dataset.user));
      group.append(element);
    }
  }
  for (const chart of charts) {
    const {data, layout} = figures.get(chart);
    if (!layout.meta || !layout.meta.lanes) continue;
    const y = data.map((trace, lane) =>
      trace.customdata.map((user) => (row.has(user) ? row.get(user) + layout.meta.lanes[lane] : null)));
    const height = 20 * Math.max(order.length, 4);
    Plotly.update(chart, {y}, {
      height: 130 + height,
      "legend.y": -16 / height,
      "yaxis.tickvals": order.map((_, place) => place),
      "yaxis.ticktext": order.map((user) => layout.meta.users[user]),
      "yaxis.range": [order.length - 0.4, -0.6],
    });
  }
  const way = sorting.selectedOptions[0], all = people.names.length;
  document.getElementById("users-told").textContent =
    `${order.length === all ? "" : `${order.length} of `}${counted(all, "user")}, ${way.textContent}${way.dataset.told}`;
}
if (people && sorting) {
  sorting.addEventListener("change", showUsers);
  naming.addEventListener("input", showUsers);
}
