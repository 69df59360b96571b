const progress = document.getElementById("progress");
const state = document.getElementById("status");
const thumbnails = document.getElementById("thumbnails");

// Milliseconds of silence after which to ask again. A message is delivered once
// at the most: if it is lost, nobody knows but this page, which still waits.
const PATIENCE = 5000;
// Milliseconds until a lost connection is tried again.
const DELAY = 1000;

let timer = null;

function show(data) {
  const id = `width-${data.width}`;
  if (!document.getElementById(id)) {
    const image = document.createElement("img");
    image.id = id;
    image.src = data.url;
    image.alt = `${data.width} pixels wide`;
    thumbnails.append(image);
  }
  progress.value = Math.max(progress.value, data.done);
  state.textContent = `${data.done} of ${data.all}`;
  return data.done === data.all;
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${location.pathname}`);
  let done = false;

  function wait() {
    clearInterval(timer);
    timer = setInterval(() => socket.send("again"), PATIENCE);
  }

  socket.onopen = () => {
    wait();
    state.textContent = "Waiting";
  };
  socket.onmessage = (event) => {
    wait();
    done = show(JSON.parse(event.data));
    if (done) socket.close();
  };
  socket.onclose = () => {
    clearInterval(timer);
    if (done) return;
    state.textContent = "Reconnecting";
    setTimeout(connect, DELAY);
  };
}

connect();
