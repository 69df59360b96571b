const room = JSON.parse(document.getElementById("room").textContent);
const posts = document.getElementById("posts");
const form = document.getElementById("say");
const nameInput = form.elements.name;
const textInput = form.elements.text;

// Who speaks.

nameInput.value = localStorage.getItem("name") || "";
(nameInput.value ? textInput : nameInput).focus();

nameInput.addEventListener("input", () => {
  localStorage.setItem("name", nameInput.value);
  for (const item of posts.children) markMine(item);
});

// What is said.

function show(post) {
  // Posts are in the order of their ids, and one that is there already is
  // not shown again: history and news overlap after a reconnection.
  let next = null;
  let last = posts.lastElementChild;
  while (last && Number(last.dataset.id) > post.id) {
    next = last;
    last = last.previousElementSibling;
  }
  if (last && Number(last.dataset.id) === post.id) return;
  const item = document.createElement("li");
  item.dataset.id = post.id;
  item.dataset.name = post.name;
  // textContent, never innerHTML: nobody's words become somebody's HTML.
  item.append(element("b", post.name), element("p", post.text), clock(post.sent));
  markMine(item);
  posts.insertBefore(item, next);
}

function element(tag, content) {
  const made = document.createElement(tag);
  made.dir = "auto";
  made.textContent = content;
  return made;
}

function clock(sent) {
  const options = { hour: "2-digit", minute: "2-digit" };
  const made = element("time", new Date(sent).toLocaleTimeString([], options));
  made.dateTime = sent;
  return made;
}

function markMine(item) {
  item.classList.toggle("mine", item.dataset.name === nameInput.value.trim());
}

// The socket.

const FIRST_DELAY = 500; // Milliseconds until the first new attempt ...
const LAST_DELAY = 10000; // ... and between later ones at the most.
let delay = FIRST_DELAY;
let timer = null;
let socket;

function connect() {
  clearTimeout(timer);
  timer = null;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/chat/${room}/`);
  socket.onopen = () => showState("Live");
  socket.onclose = () => {
    showState("Reconnecting");
    // Not all at the same time, or they keep the server down.
    timer = setTimeout(connect, delay * (0.5 + Math.random() / 2));
    delay = Math.min(delay * 2, LAST_DELAY);
  };
  socket.onmessage = (event) => {
    delay = FIRST_DELAY;
    const data = JSON.parse(event.data);
    const atEnd = posts.scrollHeight - posts.scrollTop - posts.clientHeight < 80;
    (data.posts || []).forEach(show);
    (data.posts || []).forEach(clearIfSaid);
    if (atEnd) posts.scrollTop = posts.scrollHeight;
    const errors = Object.values(data.errors || {}).flat();
    const error = document.getElementById("error");
    error.textContent = errors.map((item) => item.message).join(" ");
    error.hidden = !errors.length;
  };
}

function clearIfSaid(post) {
  // What was lost on the way is still in the field, to be sent once more.
  const isMine = post.name === nameInput.value.trim();
  if (isMine && post.text === textInput.value.trim()) textInput.value = "";
}

function showState(state) {
  const status = document.getElementById("status");
  status.textContent = status.dataset.state = state;
  form.querySelector("button").disabled = state !== "Live";
}

function hurry() {
  if (timer !== null && !document.hidden) connect();
}

window.addEventListener("online", hurry);
document.addEventListener("visibilitychange", hurry);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  const said = { name: nameInput.value, text: textInput.value };
  socket.send(JSON.stringify(said));
  textInput.focus();
});

connect();
