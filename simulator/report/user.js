// Opens one user: what was true, what the device said, what it was answered, and its models.
"use strict";
const stories = read("stories");
const opened = document.getElementById("one-user");
const INK = "#1b1f24", SOFT = "#57606a", GREY = "#c9d0d8";
const BLUE = "#0072B2", RED = "#D55E00", GREEN = "#007a59";
const ANSWERS = {
  c: ["confirmed", `<path d="M-4,0L-1,3.4L4,-3.6" fill="none" stroke="${GREEN}" stroke-width="2"/>`],
  k: ["corrected", `<path d="M0,-4.6L4.6,0L0,4.6L-4.6,0z" fill="${BLUE}"/>`],
  w: ["answered wrongly", `<path d="M-3.6,-3.6L3.6,3.6M3.6,-3.6L-3.6,3.6" fill="none" stroke="${RED}" stroke-width="2"/>`],
  n: ["asked, not answered", `<circle r="3.4" fill="none" stroke="${SOFT}" stroke-width="1.4"/>`],
  u: ["no answer", `<circle r="1.6" fill="${SOFT}"/>`],
  o: ["not asked", ""],
};
const DOWN = `<path d="M0,4.4L-4.2,-.6H-1.2V-4.4H1.2V-.6H4.2z" fill="${BLUE}"/>`;
const UP = `<path d="M0,-4.4L-4.2,.6H-1.2V4.4H1.2V.6H4.2z" fill="${GREEN}"/>`;
const MODEL = [
  [1, "learnt", `<circle r="3" fill="${INK}"/>`],
  [2, "downloaded", DOWN],
  [4, "accepted", UP],
  [8, "refused", `<path d="M-3.6,-3.6L3.6,3.6M3.6,-3.6L-3.6,3.6" stroke="${RED}" stroke-width="2"/>`],
  [16, "lost", `<path d="M0,-4.2L4.2,3.4H-4.2z" fill="none" stroke="${RED}" stroke-width="1.4"/>`],
  [32, "unreachable", `<path d="M-4,0H4" stroke="${SOFT}" stroke-width="2"/>`],
];
const ALARM = `<path d="M0,4.6L-4.4,-3.4H4.4z" fill="${RED}"/>`;
const SAVED = `<rect x="-3.4" y="-3.4" width="6.8" height="6.8" fill="none" stroke="${INK}" stroke-width="1.6"/>`;

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(1)}%` : "–");
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const at = (x, y, shape, title) =>
  `<g transform="translate(${x.toFixed(1)},${y})">${shape}${title ? `<title>${escaped(title)}</title>` : ""}</g>`;
const text = (x, y, words, more = "") => `<text x="${x}" y="${y}" ${more}>${escaped(words)}</text>`;

// Neighbours that are alike become one: [first, count, value].
function runs(length, value) {
  const found = [];
  for (let i = 0; i < length; i++) {
    const own = value(i), last = found[found.length - 1];
    if (last && last[2] === own) last[1]++;
    else found.push([i, 1, own]);
  }
  return found;
}

// A story with its stream, and where its questions and rounds begin, in windows.
function storyOf(user, arm) {
  const whole = stories.users[user], own = whole.arms[arm];
  const stream = whole.streams[own.s], starts = [0], rounds = [0];
  for (const count of stream.q) starts.push(starts[starts.length - 1] + count);
  let question = 0;
  for (const count of stream.r) rounds.push(starts[question += count]);
  const right = [...own.p].map((said, i) => said === stream.t[i]);
  return {...own, ...stream, starts, rounds, right, windows: stream.t.length};
}

// Prequential accuracy with fading factor after each window, as in rounds/.
function faded(story) {
  let s = 0, b = 0;
  return story.right.map((right) => (s = (right ? 1 : 0) + 0.98 * s) / (b = 1 + 0.98 * b));
}

function lanes(story, x, top, gutter) {
  const classes = stories.classes, step = 15;
  let out = "";
  classes.forEach((name, k) => {
    const y = top + k * step;
    const short = name.length * 6 > gutter ? `${name.slice(0, Math.floor(gutter / 6) - 2)}…` : name;
    out += text(gutter - 6, y + 10, short, 'text-anchor="end"');
    out += `<path d="M${x(0)},${y + 14.5}H${x(story.windows)}" stroke="#eceff2"/>`;
  });
  const bar = (first, count, y, height, colour, title) =>
    `<rect x="${x(first).toFixed(1)}" y="${y}" width="${Math.max(x(first + count) - x(first), 0.3).toFixed(1)}" ` +
    `height="${height}" fill="${colour}"><title>${escaped(title)}</title></rect>`;
  const name = (letter) => classes[letter.charCodeAt(0) - 97];
  const lane = (letter) => top + (letter.charCodeAt(0) - 97) * step;
  for (const [first, count, letter] of runs(story.windows, (i) => story.t[i]))
    out += bar(first, count, lane(letter), 14, GREY, `truly ${name(letter)}, ${counted(count, "window")}`);
  for (const [first, count, key] of runs(story.windows, (i) => story.p[i] + (story.right[i] ? "+" : "-"))) {
    const right = key[1] === "+";
    out += bar(first, count, lane(key[0]) + (right ? 5 : 2), right ? 4 : 10, right ? BLUE : RED,
      `said ${name(key[0])}, ${counted(count, "window")}, ${right ? "right" : "wrong"}`);
  }
  return [out, top + classes.length * step + 4];
}

function symbols(title, items, x, top, gutter) {
  if (!items.length) return ["", top];
  const marks = items.map(([place, shape, told]) => at(x(place), top + 8, shape, told)).join("");
  return [text(gutter - 6, top + 12, title, 'text-anchor="end"') + marks, top + 17];
}

function heading(words, y) {
  return text(0, y + 14, words, 'class="heading"');
}

function curve(values, x, top, height, floor, more) {
  const step = Math.max(1, Math.floor(values.length / 600)), points = [];
  for (let i = 0; i < values.length; i += step)
    points.push(`${x(i + 1).toFixed(1)},${(top + height * (1 - values[i]) / (1 - floor)).toFixed(1)}`);
  return `<polyline points="${points.join(" ")}" fill="none" ${more}/>`;
}

function accuracies(user, arm, others, x, top, width) {
  const height = 84, lines = [arm, ...others].map((one) => [one, faded(storyOf(user, one))]);
  const settled = lines.flatMap(([, line]) => line.slice(Math.min(8, line.length - 1)));
  const floor = Math.min(0.8, Math.floor(10 * Math.min(...settled)) / 10);
  let out = "";
  for (const share of [1, (1 + floor) / 2, floor]) {
    const y = top + height * (1 - share) / (1 - floor);
    out += `<path d="M${x(0)},${y}H${width}" stroke="#e4e7eb"/>` +
      text(x(0) - 6, y + 4, `${Math.round(100 * share)}%`, 'text-anchor="end"');
  }
  out += `<clipPath id="accuracy"><rect x="${x(0)}" y="${top - 3}" width="${width}" height="${height + 6}"/></clipPath><g clip-path="url(#accuracy)">`;
  for (const [one, line] of lines.reverse()) {
    const style = stories.styles[one];
    const dash = style.dash === "solid" ? "" : `stroke-dasharray="${style.dash.replaceAll("px", "")}"`;
    out += `<g class="arm-${one}">` + curve(line, x, top, height, floor,
      `stroke="${style.colour}" stroke-width="${one === arm ? 2.4 : 1.4}" ${dash}`) + "</g>";
  }
  return [out + "</g>", top + height + 10];
}

// Long streams are wider than the screen, and scroll; paper has its width.
function timeline(user, arm, space, onPaper) {
  const story = storyOf(user, arm), count = story.windows;
  const longest = Math.max(...stories.classes.map((name) => name.length), 12);
  const gutter = Math.min(6.4 * longest + 10, 112), width = onPaper ? space : Math.max(space, gutter + 1.5 * count);
  const x = (window) => gutter + (width - gutter - 8) * window / count;
  const middle = (edges, i) => (edges[i] + edges[i + 1]) / 2;
  const name = stories.styles[arm].arm;
  let out = heading("Activities, and what the device said", 0), y = 22, part;
  [part, y] = lanes(story, x, y, gutter); out += part;
  if (story.d.length) {
    out += text(gutter - 6, y + 11, "drift", 'text-anchor="end"');
    for (const [first, length] of story.d)
      out += `<rect x="${x(first)}" y="${y + 2}" width="${x(first + length) - x(first)}" height="11" ` +
        `fill="url(#hatched)" stroke="${SOFT}" stroke-width=".6"><title>drift in force, ${counted(length, "window")}</title></rect>`;
    for (const [round, kind, reason, windows] of story.e)
      if (kind === "drift-begins" && x(windows) < width - 60)
        out += text(x(Math.max(windows, 0)) + 3, y + 11, reason, 'class="on"');
    y += 17;
  }
  const spot = ([round, , , windows]) =>
    windows >= 0 ? Math.min(windows, count) : middle(story.rounds, Math.min(Math.max(round, 1), story.rounds.length - 1) - 1);
  const events = (kind) => story.e.filter((event) => event[1] === kind);
  [part, y] = symbols("alarm", events("alarm").map((e) => [spot(e), ALARM, `alarm of ${e[2]}, round ${e[0]}`]), x, y, gutter); out += part;
  [part, y] = symbols("reaction", events("reaction").map((e) => [spot(e), SAVED, `${e[2]}, round ${e[0]}`]), x, y, gutter); out += part;
  [part, y] = symbols("answers", [...story.a].map((kind, i) => [middle(story.starts, i), ANSWERS[kind][1], `question ${i + 1}: ${ANSWERS[kind][0]}`]), x, y, gutter); out += part;
  const rounds = story.rounds.length - 1;
  for (const [bit, what, shape] of MODEL) {
    const items = [];
    for (let r = 0; r < Math.min(rounds, story.m.length); r++)
      if (story.m[r] & bit && (story.rounds[r + 1] > story.rounds[r] || bit > 1))
        items.push([middle(story.rounds, r), shape, `round ${r + 1}: ${what}`]);
    [part, y] = symbols(what, items, x, y, gutter); out += part;
  }
  const saved = story.saved.filter((round) => round >= 1 && round <= rounds);
  [part, y] = symbols("version kept", saved.map((r) => [story.rounds[r], SAVED, `model kept after round ${r}`]), x, y, gutter); out += part;
  const every = Math.max(1, Math.ceil(rounds / Math.max(2, Math.floor((width - gutter) / 34))));
  let grid = "", ticks = "";
  for (let r = 0; r <= rounds; r++) {
    grid += `<path d="M${x(story.rounds[r]).toFixed(1)},20V${y}" stroke="#e4e7eb"/>`;
    if (r && r % every === 0)
      ticks += text(x(middle(story.rounds, r - 1)).toFixed(1), y + 13, r, 'text-anchor="middle"');
  }
  out += text(gutter - 6, y + 13, "round", 'text-anchor="end"') + ticks;
  y += 24;
  const baseline = stories.baseline;
  const others = baseline !== arm && stories.users[user].arms[baseline] ? [baseline] : [];
  const beside = others.length ? `; thin: ${stories.styles[baseline].arm}, the baseline` : "";
  out += heading("Accuracy, older windows fading", y) + text(0, y + 30, `thick: ${name}${beside}`);
  [part, y] = accuracies(user, arm, others, x, y + 42, width - 8); out += part;
  out += heading("Windows that each arm got wrong", y + 2);
  y += 24;
  for (const one of Object.keys(stories.users[user].arms).map(Number)) {
    const own = storyOf(user, one);
    const scale = (window) => gutter + (width - gutter - 8) * window / own.windows;
    const wrong = runs(own.windows, (i) => own.right[i]).filter((run) => !run[2]);
    const path = wrong.map(([first, length]) =>
      `M${scale(first).toFixed(1)},${y + 15}h${(scale(first + length) - scale(first)).toFixed(1)}v9h-${(scale(first + length) - scale(first)).toFixed(1)}z`).join("");
    const told = percent(own.right.filter(Boolean).length, own.windows);
    out += `<g class="arm-${one}">` + text(gutter, y + 11, stories.styles[one].arm, one === arm ? 'class="chosen"' : "") +
      text(gutter - 6, y + 23, told, 'text-anchor="end"') +
      `<rect x="${gutter}" y="${y + 15}" width="${width - gutter - 8}" height="9" fill="#dfe9f2"/><path d="${path}" fill="${RED}"/></g>`;
    if (shownArms().has(one)) y += 29;
  }
  const label = `User ${user} with ${name}: ${counted(count, "window")} in ${counted(rounds, "round")}, ` +
    `${story.right.filter(Boolean).length} predicted rightly; the same stands in the table below.`;
  const hatch = `<pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="#fff"/><path d="M0,0V6" stroke="#9aa3ad" stroke-width="2.4"/></pattern>`;
  return `<svg class="timeline" role="img" aria-label="${escaped(label)}" width="${width}" height="${y + 4}" ` +
    `viewBox="0 0 ${width} ${y + 4}"><defs>${hatch}</defs>${grid}${out}</svg>`;
}

function key(story) {
  const swatch = (shape) => `<svg width="16" height="12" viewBox="-8 -6 16 12" aria-hidden="true">${shape}</svg>`;
  const bar = (colour, height) => `<rect x="-7" y="${-height / 2}" width="14" height="${height}" fill="${colour}"/>`;
  const items = [
    [bar(GREY, 12), "true activity"],
    [bar(GREY, 12) + bar(BLUE, 4), "said, and right"],
    [bar(RED, 9), "said, and wrong"],
  ];
  for (const kind of "ckwnu") if (story.a.includes(kind)) items.push([ANSWERS[kind][1], ANSWERS[kind][0]]);
  return `<ul class="legend">${items.map(([shape, told]) => `<li>${swatch(shape)} ${told}</li>`).join("")}</ul>`;
}

function table(story) {
  const head = ["round", "windows", "right", "questions", "confirmed", "corrected", "answered wrongly", "model", ...(story.w ? ["holdout right"] : [])];
  let question = 0, body = "";
  for (let r = 1; r < story.rounds.length; r++) {
    const first = story.rounds[r - 1], last = story.rounds[r];
    const answers = story.a.slice(question, question += story.r[r - 1]);
    const count = (kind) => [...answers].filter((one) => one === kind).length;
    const did = MODEL.filter(([bit]) => story.m[r - 1] & bit).map(([, what]) => what);
    if (story.saved.includes(r)) did.push("kept");
    const held = story.h[r] === null || story.h[r] === undefined ? "–" : `${story.h[r]} of ${story.w}`;
    const right = story.right.slice(first, last).filter(Boolean).length;
    const cells = [last - first, right, answers.length, count("c"), count("k"), count("w"), did.join(", ") || "–", ...(story.w ? [held] : [])];
    body += `<tr><th scope="row">${r}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  }
  return `<details><summary>The same as a table</summary><div class="scroll" tabindex="0"><table aria-label="Rounds of this user">` +
    `<thead><tr>${head.map((one) => `<th scope="col">${one}</th>`).join("")}</tr></thead><tbody>${body}</tbody></table></div></details>`;
}

let current = null, cameFrom = null, scrolled = 0;
function draw(paper) {
  if (current === null) return;
  const {user, arm} = current, story = storyOf(user, arm);
  const body = opened.querySelector(".body");
  body.querySelector(".drawing").innerHTML = timeline(user, arm, paper ?? body.clientWidth, paper !== undefined);
  const right = story.right.filter(Boolean).length, held = story.h.findLast((one) => one !== null);
  opened.querySelector(".figures").textContent =
    `${stories.styles[arm].arm}: ${right} of ${counted(story.windows, "window")} of the stream predicted rightly ` +
    `(${percent(right, story.windows)}, prequential)` +
    (story.w && held !== undefined ? `; at the end ${held} of ${counted(story.w, "holdout window")} (${percent(held, story.w)}).` : ".");
  const unfolded = body.querySelector("details")?.open ?? false;
  body.querySelector(".numbers").innerHTML = key(story) + table(story);
  body.querySelector("details").open = unfolded;
}

function open(user) {
  const arms = Object.keys(stories.users[user].arms).map(Number);
  const arm = current && arms.includes(current.arm) ? current.arm : stories.spoken.find((one) => arms.includes(one)) ?? arms[0];
  if (current === null) scrolled = scrollY;
  current = {user, arm};
  const order = people && sorting ? orderedUsers().map((place) => people.names[place]).filter((name) => stories.users[name]) : Object.keys(stories.users);
  const place = order.indexOf(user), link = (name, words) => (name === undefined ? "" : `<a href="#user=${encodeURIComponent(name)}">${words} ${escaped(name)}</a>`);
  opened.querySelector("h2").textContent = `User ${user}`;
  opened.querySelector(".steps").innerHTML = `<a class="back" href="#users">Back to all users</a> ` +
    link(order[place - 1], "Before:") + " " + link(order[place + 1], "Next:");
  const device = stories.users[user].device;
  opened.querySelector(".whose").textContent = stories.worn[user] > 1
    ? `Device ${device}, the first of ${stories.worn[user]} devices of this user; figures elsewhere are of all of them.`
    : `Device ${device}.`;
  const choice = opened.querySelector("select");
  choice.innerHTML = arms.map((one) => `<option value="${one}">${escaped(stories.styles[one].arm)}</option>`).join("");
  choice.value = arm;
  document.body.classList.add("one");
  opened.hidden = false;
  draw();
  document.title = `User ${user}`;
  scrollTo(0, 0);
  opened.querySelector("h2").focus({preventScroll: true});
}

const wholeTitle = document.title;
function close() {
  document.body.classList.remove("one");
  opened.hidden = true;
  document.title = wholeTitle;
  if (current === null) return;
  const link = [...document.querySelectorAll(".multiples a")]
    .find((one) => decodeURIComponent(one.hash) === `#user=${current.user}`);
  current = null;
  for (const chart of charts) Plotly.Plots.resize(chart);
  if (location.hash === "#users" || location.hash === "") scrollTo(0, scrolled);
  else document.getElementById(location.hash.slice(1))?.scrollIntoView();
  if (link) link.focus({preventScroll: true});
}

function route() {
  const found = location.hash.match(/^#user=(.*)$/);
  let user = null;
  try { user = found && decodeURIComponent(found[1]); } catch { user = null; }
  if (user !== null && Object.hasOwn(stories.users, user)) open(user);
  else close();
}

if (stories && opened) {
  addEventListener("hashchange", route);
  addEventListener("arms", () => draw());
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) draw();  // a phone's bars change the height alone
    width = innerWidth;
  });
  addEventListener("beforeprint", () => draw(660));
  addEventListener("afterprint", () => draw());
  opened.querySelector("select").addEventListener("change", (event) => {
    current.arm = Number(event.target.value);
    draw();
  });
  route();
}
