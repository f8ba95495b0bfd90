// Dots that move between the stations, in proportion to the rate. A decoration: the numbers show the same.
"use strict";

const flow = (() => {
  const canvas = document.getElementById("flow");
  const pen = canvas.getContext("2d");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const DOTS_MAX = 90, TRAVEL_MS = 1700, PER_SECOND_MAX = 9;
  let points = [], dots = [], rates = [], owed = [], last = 0;

  function measure() {
    const frame = canvas.getBoundingClientRect(), ratio = Math.min(devicePixelRatio || 1, 2);
    canvas.width = Math.round(frame.width * ratio);
    canvas.height = Math.round(frame.height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    points = [...document.querySelectorAll(".station i")].map((node) => {
      const box = node.getBoundingClientRect();
      return { x: box.left - frame.left + box.width / 2, y: box.top - frame.top + box.height / 2 };
    });
  }

  function line() {
    if (points.length < 2) return;
    const [first] = points, end = points[points.length - 1];
    pen.lineWidth = 2;
    pen.strokeStyle = "#dfe8e3";
    for (let n = 0; n + 1 < points.length; n++) {
      const a = points[n], b = points[n + 1], across = Math.abs(b.x - a.x) > Math.abs(b.y - a.y);
      pen.beginPath();
      pen.moveTo(a.x + (across ? 14 : 0), a.y + (across ? 0 : 12));
      pen.lineTo(b.x - (across ? 14 : 0), b.y - (across ? 0 : 12));
      pen.stroke();
    }
    return first && end;
  }

  function frame(now) {
    const passed = Math.min(now - last, 100);
    last = now;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    line();
    rates.forEach((rate, n) => {
      // the square root of the rate keeps the picture readable
      owed[n] = (owed[n] || 0) + Math.min(PER_SECOND_MAX, rate > 0 ? 0.6 + Math.sqrt(rate) : 0) * passed / 1000;
      while (owed[n] >= 1) {
        owed[n] -= 1;
        if (dots.length < DOTS_MAX) dots.push({ n, born: now - Math.random() * 80, drift: (Math.random() - 0.5) * 7 });
      }
    });
    dots = dots.filter((dot) => now - dot.born < TRAVEL_MS && points[dot.n + 1]);
    for (const dot of dots) {
      const t = (now - dot.born) / TRAVEL_MS, a = points[dot.n], b = points[dot.n + 1];
      const ease = t * t * (3 - 2 * t), lift = Math.sin(Math.PI * t) * dot.drift;
      const across = Math.abs(b.x - a.x) > Math.abs(b.y - a.y);
      pen.globalAlpha = Math.sin(Math.PI * t) * 0.9;
      pen.fillStyle = dot.drift > 2.4 ? "#d9a441" : "#2c8c7a";
      pen.beginPath();
      pen.arc(a.x + (b.x - a.x) * ease + (across ? 0 : lift), a.y + (b.y - a.y) * ease + (across ? lift : 0), 3, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (!still.matches) requestAnimationFrame(frame);
  }

  new ResizeObserver(() => { measure(); if (still.matches) line(); }).observe(canvas);
  measure();
  requestAnimationFrame(frame);
  return { set(perSecond) { rates = perSecond.slice(0, -1).map((rate, n) => Math.max(rate, perSecond[n + 1] * 0.5)); } };
})();
