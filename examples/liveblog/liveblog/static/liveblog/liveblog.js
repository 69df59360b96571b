const list = document.getElementById("posts");
const state = document.getElementById("status");

// Milliseconds until a page that was cut off tries again.
const RETRY_DELAY = 1000;

function show(post) {
  let item = document.getElementById(`post-${post.id}`);
  if (item === null) {
    item = document.createElement("li");
    item.id = `post-${post.id}`;
    item.dataset.id = post.id;
    // The latest comes first, in whatever order they arrive.
    const older = [...list.children].find((other) => Number(other.dataset.id) < post.id);
    list.insertBefore(item, older || null);
  }
  const time = document.createElement("time");
  time.dateTime = post.created;
  time.textContent = new Date(post.created).toLocaleTimeString();
  const text = document.createElement("span");
  text.textContent = post.text;
  item.replaceChildren(time, text);
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${location.pathname}stream/`);
  // What was deleted since the socket opened; the first list may still have it.
  const deleted = new Set();
  socket.onmessage = (event) => {
    const data = JSON.parse(event.data);
    if ("posts" in data) {
      // All that there is: what was deleted meanwhile, on a cut, goes.
      list.replaceChildren();
      data.posts.filter((post) => !deleted.has(post.id)).forEach(show);
      state.textContent = "Live";
    } else if ("saved" in data) {
      show(data.saved);
    } else {
      deleted.add(data.deleted);
      document.getElementById(`post-${data.deleted}`)?.remove();
    }
  };
  socket.onclose = () => {
    state.textContent = "Reconnecting";
    setTimeout(connect, RETRY_DELAY * (1 + Math.random()));
  };
}

connect();
