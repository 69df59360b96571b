const state = document.getElementById("status");
const error = document.getElementById("error");
const user = document.querySelector("#logout b").textContent;

// Milliseconds until a page that was cut off tries again.
const RETRY_DELAY = 1000;

// {number of a room: its part of the page}, and the rooms that this page is in.
const parts = new Map();
const joined = new Set();
let socket;

function ask(command, room, text) {
  const isOpen = socket.readyState === WebSocket.OPEN;
  error.textContent = isOpen ? "" : "Not connected: try again when this page is live.";
  if (isOpen) socket.send(JSON.stringify({ command, room, text }));
}

function addRoom({ id, title }) {
  if (parts.has(id)) return;
  const template = document.getElementById("room");
  const part = template.content.cloneNode(true).firstElementChild;
  parts.set(id, part);
  part.dataset.title = title;
  part.querySelector("h2").textContent = title;
  const toggle = part.querySelector(".toggle");
  toggle.onclick = () => ask(joined.has(id) ? "leave" : "join", id);
  const form = part.querySelector("form");
  form.onsubmit = (event) => {
    event.preventDefault();
    ask("say", id, form.elements[0].value);
  };
  document.getElementById("rooms").append(part);
}

function setJoined(id, isIn) {
  joined[isIn ? "add" : "delete"](id);
  const part = parts.get(id);
  part.querySelector(".toggle").textContent = isIn ? "Leave" : "Join";
  part.querySelector("form").hidden = !isIn;
}

function log(id, text, isEvent) {
  const line = document.createElement("li");
  line.textContent = text;
  line.classList.toggle("event", isEvent);
  const list = parts.get(id).querySelector("ol");
  list.append(line);
  list.scrollTop = list.scrollHeight;
}

function clearIfSaid(id, text) {
  // What was lost on the way is still in the field, to be said once more.
  const form = parts.get(id).querySelector("form");
  if (form.elements[0].value.trim() === text) form.reset();
}

function take(data) {
  if ("rooms" in data) {
    data.rooms.forEach(addRoom);
    state.textContent = "Live";
    // A socket begins in no room, also one in the place of another.
    const before = [...joined];
    before.forEach((id) => setJoined(id, false));
    before.forEach((id) => ask("join", id));
  } else if ("error" in data) {
    error.textContent = data.error;
  } else if ("event" in data) {
    if (data.user === user) setJoined(data.room, data.event === "joined");
    log(data.room, `${data.user} ${data.event}`, true);
  } else {
    log(data.room, `${data.user}: ${data.text}`, false);
    if (data.user === user) clearIfSaid(data.room, data.text);
  }
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/rooms/stream/`);
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = () => {
    state.textContent = "Reconnecting";
    setTimeout(connect, RETRY_DELAY * (1 + Math.random()));
  };
}

connect();
