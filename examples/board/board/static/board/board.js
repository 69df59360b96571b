const list = document.getElementById("tasks");
const form = document.getElementById("add");
const state = document.getElementById("status");
const error = document.getElementById("error");

// Milliseconds until a page that was cut off tries again.
const RETRY_DELAY = 1000;

// What each task is, as the server said it last.
const tasks = new Map();
// The title of a new task that the server has not shown yet.
let asked = null;
let socket;

function send(payload) {
  if (socket.readyState !== WebSocket.OPEN) {
    refuse("Not connected: that was not saved.");
    return;
  }
  error.textContent = "";
  socket.send(JSON.stringify({ stream: "tasks", payload }));
}

function refuse(reason) {
  error.textContent = reason;
  document.activeElement.blur();
  [...tasks.keys()].forEach(show);
}

function show(pk) {
  const { title, done } = tasks.get(pk);
  const item = document.getElementById(`task-${pk}`) || add(pk);
  const [box, field] = item.querySelectorAll("input");
  box.checked = done;
  item.classList.toggle("done", done);
  // Nobody's typing is overwritten; it is sent when it is finished.
  if (document.activeElement !== field) field.value = title;
}

function add(pk) {
  const item = document.createElement("li");
  item.id = `task-${pk}`;
  const box = document.createElement("input");
  box.type = "checkbox";
  box.name = "done";
  const field = document.createElement("input");
  field.name = "title";
  field.maxLength = 100;
  const button = document.createElement("button");
  button.textContent = "Delete";
  box.disabled = field.readOnly = button.disabled = form === null;
  box.onchange = () => send({ action: "update", pk, data: { done: box.checked } });
  field.onchange = () => send({ action: "update", pk, data: { title: field.value } });
  button.onclick = () => send({ action: "delete", pk });
  item.append(box, field, button);
  list.append(item);
  return item;
}

function take(pk) {
  tasks.delete(pk);
  document.getElementById(`task-${pk}`)?.remove();
}

function clearIfAdded(title) {
  // What was lost on the way is still in the field, to be added once more.
  if (title !== asked) return;
  asked = null;
  if (form.elements.title.value === title) form.reset();
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/stream/`);
  // What came on this socket: it is newer than the list, even if it is here first.
  const changed = new Set();

  function apply({ action, pk, data }) {
    if (action === "delete") {
      take(pk);
    } else {
      tasks.set(pk, data);
      show(pk);
      clearIfAdded(data.title);
    }
  }

  socket.onmessage = (event) => {
    const { stream, payload } = JSON.parse(event.data);
    if (stream === "board") {
      [...tasks.keys()].filter((pk) => !changed.has(pk)).forEach(take);
      payload.tasks.filter((task) => !changed.has(task.pk)).forEach(apply);
      state.textContent = "Live";
    } else if (stream === "errors") {
      refuse(payload.error);
    } else {
      changed.add(payload.pk);
      apply(payload);
    }
  };
  socket.onclose = () => {
    state.textContent = "Reconnecting";
    setTimeout(connect, RETRY_DELAY * (1 + Math.random()));
  };
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  asked = form.elements.title.value;
  send({ action: "create", data: { title: asked } });
});

connect();
