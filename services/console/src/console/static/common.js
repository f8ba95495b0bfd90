// Helpers of all pages: nodes, times in Asia/Shanghai, calls to this console.
"use strict";

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function shanghai(instant, options) {
  return new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", hour12: false, ...options }).format(instant);
}

function clockText(instant) {
  return shanghai(instant, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

// A call with `byItself` does not count as an action of the user, so the session may end meanwhile.
async function get(path, byItself = false) {
  const headers = byItself ? { "X-Made-By-Page": "1" } : {};
  const answer = await fetch(path, { credentials: "same-origin", headers });
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}
