// The live page: shows each tick of the stream.
"use strict";

(() => {
  const SHOWN_MAX = 100, SILENT_MS = 5000, AGAIN_MS = 5000;
  const by = (id) => document.getElementById(id);
  const body = by("steps"), hold = by("hold"), link = by("link");
  const number = new Intl.NumberFormat("zh-CN"), waitingRows = [], shown = new Set();
  let lastTick = 0, deaths = null, held = false, hovered = false;

  function setLink(state, text) {
    link.className = `link ${state}`;
    link.textContent = text;
  }

  function drawBars(svg, history) {
    const top = Math.max(1, ...history), width = 150 / 60;
    svg.setAttribute("viewBox", "0 0 150 26");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.replaceChildren(...history.map((value, n) => {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const height = value ? Math.max(2, (value / top) * 26) : 1;
      bar.setAttribute("x", String((60 - history.length + n) * width));
      bar.setAttribute("y", String(26 - height));
      bar.setAttribute("width", String(width * 0.72));
      bar.setAttribute("height", String(height));
      return bar;
    }));
  }

  function waitText(waiting) {
    if (waiting === null) return "待处理消息数未知";
    return waiting ? `待处理消息 ${number.format(waiting)} 条` : "无待处理消息";
  }

  function showStations(stations) {
    let total = 0, rate = 0, waiting = 0;
    for (const station of stations) {
      const box = document.querySelector(`[data-stage="${station.id}"]`);
      box.querySelector(".count").textContent = number.format(station.total);
      box.querySelector(".rate").textContent = `${number.format(station.per_second)} 件/秒`;
      box.querySelector(".wait").textContent = waitText(station.waiting);
      box.classList.toggle("late", station.waiting > 0);
      box.classList.toggle("busy", station.per_second > 0);
      drawBars(box.querySelector(".bars"), station.history);
      total += station.total;
      rate += station.per_second;
      waiting += station.waiting || 0;
    }
    by("total").textContent = number.format(total);
    by("rate").textContent = number.format(Math.round(rate));
    by("waiting").textContent = number.format(waiting);
    flow.set(stations.map((station) => station.per_second));
  }

  function stopLine(stop) {
    const line = make("li"), id = make("button", "", stop.person_id.slice(0, 8)), ms = stop.passed_ms;
    id.addEventListener("click", () => person.showPerson(stop.person_id));
    const time = make("time", "", clockText(new Date(stop.at)));
    line.append(time, id, make("b", "", ms < 1000 ? `${ms} 毫秒` : `${(ms / 1000).toFixed(1)} 秒`));
    return line;
  }

  function showDeaths(count, stops) {
    by("stops").replaceChildren(...stops.map(stopLine));
    by("no-stops").hidden = stops.length > 0;
    if (deaths !== null && count > deaths) {
      const figure = by("deaths").closest(".figure");
      figure.classList.remove("fresh");
      void figure.offsetWidth;
      figure.classList.add("fresh");
    }
    deaths = count;
    by("deaths").textContent = number.format(count);
  }

  function row(step) {
    const line = make("tr", `${step.tone} new`), at = new Date(step.at);
    const stage = make("td", "stage");
    stage.append(make("span", "tag", STAGE_NAMES[step.stage]));
    const time = make("td", "", `${clockText(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`);
    const id = make("td", "id"), go = make("td", "go");
    if (step.person_id) {
      const button = make("button", "", step.person_id.slice(0, 8));
      button.title = "查看这位老年人的经过";
      button.addEventListener("click", () => choose(line, () => person.showPerson(step.person_id)));
      id.append(button);
    }
    const chain = make("button", "", "链路");
    chain.addEventListener("click", () => choose(line, () => person.showTrace(step.correlation_id)));
    go.append(chain);
    line.append(time, stage, make("td", "what", step.text), id, go);
    line.dataset.event = step.event_id;
    return line;
  }

  function choose(line, then) {
    body.querySelector(".chosen")?.classList.remove("chosen");
    line.classList.add("chosen");
    then();
  }

  function showSteps() {
    const fresh = waitingRows.splice(0).slice(-SHOWN_MAX).filter((step) => !shown.has(step.event_id));
    fresh.forEach((step) => shown.add(step.event_id));
    body.prepend(...fresh.reverse().map(row));
    while (body.rows.length > SHOWN_MAX) {
      shown.delete(body.rows[body.rows.length - 1].dataset.event);
      body.deleteRow(body.rows.length - 1);
    }
    by("empty").hidden = body.rows.length > 0;
  }

  function onTick(tick) {
    lastTick = Date.now();
    const now = new Date(tick.now);
    by("date").textContent = shanghai(now, { year: "numeric", month: "long", day: "numeric" });
    by("time").textContent = clockText(now);
    setLink(tick.trouble ? "lost" : "live", tick.trouble ? "消息总线暂时中断" : "实时");
    showStations(tick.stations);
    showDeaths(tick.deaths, tick.stops);
    waitingRows.push(...tick.steps);
    if (waitingRows.length > SHOWN_MAX) waitingRows.splice(0, waitingRows.length - SHOWN_MAX);
    if (!held && !hovered) showSteps();
  }

  function listen() {
    const source = new EventSource("/api/stream");
    source.onmessage = (event) => onTick(JSON.parse(event.data));
    source.onerror = () => {
      setLink("lost", "连接中断，正在重连");
      if (source.readyState === EventSource.CLOSED) setTimeout(listenAgain, AGAIN_MS);
    };
    source.addEventListener("ended", () => { source.close(); location.assign("/login"); });
  }

  // The server refused the stream: the session is over, or the platform is busy.
  async function listenAgain() {
    try {
      await get("/api/alerts/open", true);
    } catch {
      // a session that is over is on its way to the sign-in page
    }
    listen();
  }

  async function showAlerts() {
    try {
      const found = await get("/api/alerts/open", true);
      const names = Object.entries(found.by_name).sort((a, b) => b[1] - a[1]).slice(0, 2);
      by("alerts").textContent = number.format(found.open);
      by("alert-note").textContent = names.map(([name, count]) => `${name} ${count}`).join(" · ") || "本辖区";
    } catch {
      by("alerts").textContent = "–";
    }
  }

  function gapBox(gap) {
    const box = make("div", "right lost"), id = make("button", "", gap.person_id.slice(0, 8));
    id.title = "查看这位老年人的经过";
    id.addEventListener("click", () => person.showPerson(gap.person_id));
    box.append(id, make("span", "", gap.text));
    box.append(make("small", "", `迁出地：${gap.old_clause || "没有依据"}`), make("small", "", `迁入地：${gap.new_clause || "清单没有这个项目"}`));
    if (gap.overdue) box.append(make("small", "late", "已超过办理期限"));
    return box;
  }

  async function showGaps() {
    try {
      const { gaps } = await get("/api/alerts/gaps", true);
      by("gaps").replaceChildren(...gaps.map(gapBox));
      by("gap-card").hidden = gaps.length === 0;
    } catch {
      by("gap-card").hidden = true;
    }
  }

  function sayHeld() {
    hold.setAttribute("aria-pressed", String(held));
    hold.textContent = held ? "继续" : hovered ? "移开指针后继续" : "暂停";
    if (!held && !hovered) showSteps();
  }

  hold.addEventListener("click", () => { held = !held; sayHeld(); });
  // rows must not move under the pointer
  body.addEventListener("pointerenter", (event) => { hovered = event.pointerType === "mouse"; sayHeld(); });
  body.addEventListener("pointerleave", () => { hovered = false; sayHeld(); });
  setInterval(() => { if (lastTick && Date.now() - lastTick > SILENT_MS) setLink("lost", "连接中断，正在重连"); }, 1000);
  setInterval(() => { showAlerts(); showGaps(); }, 5000);
  showAlerts();
  showGaps();
  listen();
})();
