// The view of a recording. Python sends `value` (timeline) and `media` (picture, sound) as JSON, and `message`; acts go back
// through trigger('act', ...). Names come from files and are only ever written as text.
const root = element.querySelector(".rx");
const find = (name) => root.querySelector(".rx-" + name);
const audio = new Audio();
let line = null, shown = null, chosen = null, span = null, wantedAt = null, until = null, asked = null;

const at = (second) => (second - shown.start_s) / (shown.end_s - shown.start_s);
const inView = (box) => box.end_s > shown.start_s && box.start_s < shown.end_s;
const clock = (second) => Math.floor(second / 60) + ":" + (second % 60).toFixed(1).padStart(4, "0");
const said = { present: "present", absent: "absent", unsure: "unknown" };
const act = (what, more) => trigger("act", { do: what, ...more });

function make(name, attributes, parent, text) {
  const node = name === "rect" ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function subject() {
  if (span) return { species: find("species").value, start_s: span[0], end_s: span[1], question: null };
  return chosen;
}

function sameBox(one, other) {
  return one && other && one.species === other.species && one.start_s === other.start_s && one.end_s === other.end_s;
}

function boxes() {
  const all = [...line.events, ...line.marks].filter(inView).map((box) => ({ ...box, question: null }));
  if (line.question && inView(line.question)) all.unshift({ ...line.question, state: "", score: null });
  return all;
}

function render() {
  root.classList.toggle("rx-empty", !(line && shown));
  if (!line || !shown) return;
  find("picture").src = shown.picture;
  find("picture").alt = `Spectrogram of ${line.recording}, ${clock(shown.start_s)} to ${clock(shown.end_s)}, up to ${shown.top_hz / 1000} kHz`;
  if (audio.dataset.of !== shown.sound.length + "@" + shown.start_s + line.recording) {
    audio.pause();
    audio.src = shown.sound;
    audio.dataset.of = shown.sound.length + "@" + shown.start_s + line.recording;
  }
  find("top").textContent = shown.top_hz / 1000 + " kHz";
  if (!boxes().some((box) => sameBox(box, chosen))) chosen = null;
  drawWhole(); drawBoxes(); drawTicks(); drawRows(); drawList(); drawTools();
}

function drawWhole() {
  const whole = find("whole"), length = line.end_s - line.start_s;
  const x = (second) => ((second - line.start_s) / length) * 1000;
  whole.replaceChildren();
  make("rect", { x: x(shown.start_s), y: 0, width: x(shown.end_s) - x(shown.start_s), height: 20, fill: "#888", opacity: 0.35 }, whole);
  for (const event of line.events)
    make("rect", { x: x(event.start_s), y: 4, width: Math.max(2, x(event.end_s) - x(event.start_s)), height: 12, fill: event.color }, whole);
}

function drawBoxes() {
  const picture = find("boxes");
  picture.replaceChildren();
  for (const box of boxes()) {
    const y = (1 - box.high_hz / shown.top_hz) * 256, height = ((box.high_hz - box.low_hz) / shown.top_hz) * 256;
    const kinds = ["rx-" + (box.state || "open"), sameBox(box, chosen) ? "rx-chosen" : ""].join(" ");
    const rect = make("rect", { x: at(box.start_s) * 1000, y, width: (at(box.end_s) - at(box.start_s)) * 1000, height: Math.max(height, 2), stroke: box.color, class: kinds }, picture);
    rect.addEventListener("click", () => choose(box));
  }
  if (span) make("rect", { x: at(span[0]) * 1000, y: 1, width: (at(span[1]) - at(span[0])) * 1000, height: 254, class: "rx-span" }, picture);
}

function drawTicks() {
  const ticks = find("ticks"), count = root.clientWidth < 600 ? 4 : 8;
  ticks.replaceChildren();
  for (let n = 0; n <= count; n++) {
    const second = shown.start_s + ((shown.end_s - shown.start_s) * n) / count;
    make("span", { style: `left: ${(100 * n) / count}%` }, ticks, clock(second));
  }
}

function drawRows() {
  const rows = find("rows");
  rows.replaceChildren();
  for (const row of line.rows) {
    const node = make("div", { class: "rx-row", style: `--rx-color: ${row.color}` }, rows);
    make("span", { class: "rx-name" }, node, row.species);
    const strip = make("div", { class: "rx-strip" }, node);
    make("img", { src: row.picture, alt: "Probability over time" }, strip);
    for (const event of line.events.filter((one) => one.species === row.species && inView(one))) {
      const left = Math.max(0, at(event.start_s)), right = Math.min(1, at(event.end_s));
      make("i", { style: `left: ${100 * left}%; width: ${100 * (right - left)}%` }, strip);
    }
  }
}

function drawList() {
  const list = find("list");
  list.replaceChildren();
  for (const box of boxes()) {
    const item = make("div", { class: "rx-item", role: "option", "aria-selected": sameBox(box, chosen) }, list);
    make("span", {}, item, `${clock(box.start_s)}–${clock(box.end_s)}`);
    make("span", {}, item, box.species);
    make("span", {}, item, box.question ? "asked" : box.score === null ? "" : box.score.toFixed(2));
    make("span", {}, item, said[box.state] || "");
    item.addEventListener("click", () => choose(box));
    if (sameBox(box, chosen)) item.scrollIntoView({ block: "nearest" });
  }
}

function drawTools() {
  const about = subject(), select = find("species");
  for (const name of ["yes", "no", "unsure", "relabel"]) root.querySelector(`[data-do=${name}]`).disabled = !about;
  root.querySelector("[data-do=earlier]").disabled = shown.start_s <= line.start_s + 0.01;
  root.querySelector("[data-do=later]").disabled = shown.end_s >= line.end_s - 0.01;
  if (select.options.length !== props.species.length) {
    select.replaceChildren();
    for (const name of props.species) make("option", { value: name }, select, name);
  }
  find("subject").textContent = about ? `${clock(about.start_s)}–${clock(about.end_s)}: ${about.species}?` : "Choose an event, or drag over the spectrogram.";
  find("review").hidden = !line.review.of;
  find("done").textContent = line.review.of ? `${line.review.done} of ${line.review.of} answered` : "";
}

function choose(box) {
  chosen = box;
  span = null;
  if (box) find("species").value = box.species;
  render();
}

function step(by) {
  const all = line.events;
  if (!all.length) return;
  let place = all.findIndex((one) => sameBox(one, chosen));
  if (place < 0) place = by > 0 ? all.findIndex((one) => one.end_s > shown.start_s) - 1 : all.length;
  const next = { ...all[Math.min(Math.max(place + by, 0), all.length - 1)], question: null };
  if (next.start_s >= shown.start_s && next.end_s <= shown.end_s) return choose(next);
  wantedAt = next;
  act("move", { at_s: (next.start_s + next.end_s - (shown.end_s - shown.start_s)) / 2 });
}

function answer(what) {
  const about = subject();
  if (!about) return say("Choose an event first.");
  act("answer", { said: what, species: about.species, start_s: about.start_s, end_s: about.end_s, question: about.question });
}

function relabel() {
  const name = find("species").value;
  answer(subject() && name === subject().species ? "yes" : name);
}

function play() {
  if (!audio.paused) return audio.pause();
  const about = subject(), from = about ? Math.max(about.start_s, shown.start_s) : shown.start_s;
  until = about ? Math.min(about.end_s, shown.end_s) : shown.end_s;
  audio.currentTime = from - shown.start_s;
  audio.play().then(() => requestAnimationFrame(follow)).catch((error) => say("The sound cannot be played: " + error.message));
}

function follow() {
  const now = shown.start_s + audio.currentTime, cursor = find("cursor");
  cursor.style.display = audio.paused ? "none" : "block";
  cursor.style.left = 100 * at(now) + "%";
  if (now >= until) audio.pause();
  if (!audio.paused) requestAnimationFrame(follow);
  else cursor.style.display = "none";
}

function say(text) { find("message").textContent = text; }

const shift = (by) => act("move", { at_s: shown.start_s + by * (shown.end_s - shown.start_s) * 0.8 });
const DO = {
  earlier: () => shift(-1), later: () => shift(1), play, relabel, next: () => act("next", {}),
  yes: () => answer("yes"), no: () => answer("no"), unsure: () => answer("?"),
};
const KEYS = {
  a: DO.yes, r: DO.no, u: DO.unsure, n: DO.next, " ": play, "[": DO.earlier, "]": DO.later,
  ArrowRight: () => step(1), ArrowLeft: () => step(-1), l: () => find("species").focus(),
  Escape: () => { span = null; choose(null); },
};

root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button && !button.disabled) DO[button.dataset.do]();
});
find("whole").addEventListener("click", (event) => {
  const part = event.offsetX / find("whole").clientWidth, length = shown.end_s - shown.start_s;
  act("move", { at_s: line.start_s + part * (line.end_s - line.start_s) - length / 2 });
});
find("species").addEventListener("change", drawTools);
find("species").addEventListener("keydown", (event) => {
  if (event.key === "Enter") { event.preventDefault(); relabel(); find("species").blur(); }
});
document.addEventListener("keydown", (event) => {
  if (!root.isConnected || !line || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (event.target.closest("button, summary, a") && event.key === " ") return;
  const key = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (key) { event.preventDefault(); key(); }
});

let from = null;
const second = (event) => {
  const frame = find("view").getBoundingClientRect();
  const part = Math.min(Math.max((event.clientX - frame.left) / frame.width, 0), 1);
  return Math.round(1000 * (shown.start_s + part * (shown.end_s - shown.start_s))) / 1000;
};
find("view").addEventListener("pointerdown", (event) => { if (shown && event.button === 0) from = second(event); });
window.addEventListener("pointermove", (event) => {
  if (from === null || !root.isConnected) return;
  const to = second(event), longEnough = Math.abs(at(to) - at(from)) > 0.005;
  if (longEnough || span) { span = [Math.min(from, to), Math.max(from, to)]; chosen = null; drawBoxes(); drawTools(); }
});
window.addEventListener("pointerup", () => {
  if (from !== null && span && span[1] - span[0] < 0.02) span = null;
  from = null;
});

window.addEventListener("pointercancel", () => { from = null; });  // a finger scrolls the page

window.addEventListener("resize", () => { if (line && shown && root.isConnected) drawTicks(); });

function update() {
  line = props.value ? JSON.parse(props.value) : null;
  shown = props.media ? JSON.parse(props.media) : null;
  if (wantedAt) { chosen = wantedAt; wantedAt = null; span = null; }
  const question = line && line.question;
  if (question && !sameBox(question, asked)) { chosen = question; span = null; }
  asked = question;
  say(props.message || "");
  render();
  if (chosen) find("species").value = chosen.species;
}
watch(["value", "media", "message"], update);
update();
