// The reference works as a page without this script. It adds search, the choice of a language, and requests to this server.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const narrow = matchMedia("(max-width: 60rem)");

// Contents and search

const contents = document.getElementById("contents");
const found = document.getElementById("found");
const search = document.getElementById("search");
const entries = all("[data-operation]", contents).map((link) => {
  const article = document.getElementById(link.dataset.operation);
  const names = all(".about h3, .about .path, .about > p, .fields > li > p:first-child, .answer summary", article);
  const text = names.map((element) => element.textContent).join(" ").toLowerCase();
  return { link, article, text: `${link.dataset.operation.toLowerCase()} ${text}` };
});

function showMatches() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const entry of entries) {
    const matches = words.every((word) => entry.text.includes(word));
    entry.link.parentElement.hidden = !matches;
    if (matches) count += 1;
  }
  for (const group of all(".group", contents)) group.hidden = !group.querySelector("li:not([hidden])");
  found.textContent = words.length === 0 ? "" : `${count} of ${entries.length} operations`;
  if (words.length > 0) contents.open = true;
}

search.addEventListener("input", showMatches);
search.addEventListener("keydown", (event) => {
  const first = entries.find((entry) => !entry.link.parentElement.hidden);
  if (event.key === "Enter" && first) first.link.click();
  if (event.key === "Escape") { search.value = ""; showMatches(); }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  event.preventDefault();
  search.focus();
});
if (narrow.matches) contents.open = false;
contents.addEventListener("click", (event) => {
  if (narrow.matches && event.target.closest("a")) contents.open = false;
});

// The entry of what is being read is marked.
let current;
const reading = new IntersectionObserver((changes) => {
  for (const change of changes) {
    if (!change.isIntersecting) continue;
    current?.removeAttribute("aria-current");
    current = entries.find((entry) => entry.article === change.target).link;
    current.setAttribute("aria-current", "true");
    if (!narrow.matches) current.scrollIntoView({ block: "nearest" });
  }
}, { rootMargin: "-20% 0px -75% 0px" });
for (const entry of entries) reading.observe(entry.article);

// Links as the former viewer had them: #/tag/operation.
const former = /^#\/[^/]+\/(\w+)$/.exec(location.hash);
if (former && document.getElementById(former[1])) location.replace(`#${former[1]}`);

// Samples

function choose(language) {
  for (const button of all(".pick [data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === language));
  for (const code of all("pre[data-language]")) code.hidden = code.dataset.language !== language;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".pick button");
  if (!button) return;
  if (button.dataset.language) {
    const before = button.getBoundingClientRect().top;
    choose(button.dataset.language);
    scrollBy(0, button.getBoundingClientRect().top - before);
    return;
  }
  await navigator.clipboard.writeText(button.closest(".samples").querySelector("pre:not([hidden])").textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

// Requests to this server. The key stays in this page, and is gone when it is closed.

const forms = all(".try form");
const keys = all(".key");
for (const input of keys) {
  input.addEventListener("input", () => { for (const other of keys) other.value = input.value; });
  input.addEventListener("change", () => useVerifiedDomain(input.value));
}
for (const select of all(".examples")) {
  select.addEventListener("change", () => {
    const body = select.form.elements.body;
    body.value = select.selectedOptions[0].dataset.body;
    if (sender) sendFrom(body);
  });
}

let sender = "";

// The examples send from a domain that has no owner. With a key that may list domains, they send from a verified one.
async function useVerifiedDomain(key) {
  const answer = await call("GET", "/v1/domains", { Authorization: `Bearer ${key}` });
  if (!answer.ok) return;
  const verified = (await answer.json()).find((domain) => domain.status === "Verified");
  if (!verified) return;
  sender = verified.domain;
  for (const body of all("textarea[name=body]")) sendFrom(body);
}

function sendFrom(body) {
  body.value = body.value.replace(/("from": "[^"@]*@)[^">]+/g, `$1${sender}`);
}

function call(method, path, headers, body) {
  return fetch(path, { method, headers, body, credentials: "omit", cache: "no-store", redirect: "manual" });
}

function requestOf(form) {
  const headers = {};
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const input of all("[data-in]", form)) {
    if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "" && input.dataset.in === "query") query.append(input.name, input.value);
    else if (input.value !== "") headers[input.name] = input.value;
  }
  if (form.elements.key) headers.Authorization = `Bearer ${form.elements.key.value}`;
  const body = form.elements.body;
  if (body) headers["Content-Type"] = form.elements.type?.value ?? body.dataset.type;
  return { method: form.dataset.method, path: query.size > 0 ? `${path}?${query}` : path, headers, body: body?.value };
}


// Later requests of the same tag start with what an answer has named. What a list has named is only read and replayed:
// a request that changes or deletes starts with what was created here, until it is deleted.
function remember(form, answer) {
  const { method, path } = form.dataset;
  const target = path.endsWith("/deliveries") ? "deliveryId" : "id";
  if (target === "id" && path.includes("{") && method !== "DELETE") return;
  const listed = answer?.data?.[0] ?? answer?.[0];
  const entry = listed ?? answer;
  for (const input of all(`[data-tag="${form.closest("article").dataset.tag}"] input[data-in=path][name=${target}]`)) {
    if (method === "DELETE") input.value = input.dataset.example;
    else if (entry?.id && (!listed || target === "deliveryId" || input.form.dataset.method === "GET")) input.value = entry.id;
  }
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function show(result, answer, text, time) {
  let body = text;
  try { body = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it isn't JSON */ }
  const line = element("p", "");
  line.append(element("span", String(answer.status), `badge s${Math.floor(answer.status / 100)}`), ` ${Math.round(time)} ms`);
  const headers = element("details", "");
  const fields = element("pre", [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n"), "wrap");
  headers.append(element("summary", "Header fields"), fields);
  result.replaceChildren(line, headers);
  if (body !== "") {
    const shown = element("pre", body);
    shown.tabIndex = 0;
    result.append(shown);
  }
  result.dataset.status = answer.status;
}

async function send(event) {
  event.preventDefault();
  const form = event.target;
  const result = form.parentElement.querySelector(".result");
  const button = form.querySelector("button");
  const { method, path, headers, body } = requestOf(form);
  button.disabled = true;
  result.hidden = false;
  delete result.dataset.status;
  result.textContent = "…";
  const began = performance.now();
  try {
    const answer = await call(method, path, headers, body);
    const text = await answer.text();
    show(result, answer, text, performance.now() - began);
    if (answer.ok) remember(form, text === "" ? null : JSON.parse(text));
  } catch (failure) {
    result.textContent = `There was no answer: ${failure.message}`;
  } finally {
    button.disabled = false;
  }
}

for (const form of forms) form.addEventListener("submit", send);
