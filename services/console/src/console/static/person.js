// The steps of one person, and the chain of one change, in the side panel.
"use strict";

const STAGE_NAMES = { intake: "接入", decide: "识别", assess: "评估", dispatch: "派单", pay: "补贴", supervise: "监督" };

const person = (() => {
  const panel = document.getElementById("person"), hint = document.getElementById("hint");
  const title = document.getElementById("person-title"), note = document.getElementById("person-note");
  const timeline = document.getElementById("timeline"), entitled = document.getElementById("entitled");
  let asked = 0;

  function open(text) {
    title.textContent = text;
    timeline.replaceChildren();
    entitled.replaceChildren();
    say("正在读取……");
    panel.hidden = false;
    hint.hidden = true;
    if (matchMedia("(max-width: 1000px)").matches) panel.scrollIntoView({ block: "start" });
    return ++asked;
  }

  function say(text) {
    note.textContent = text;
    note.hidden = !text;
  }

  function gap(ms) {
    if (ms < 1000) return `+${ms} 毫秒`;
    if (ms < 60000) return `+${(ms / 1000).toFixed(1)} 秒`;
    return "";
  }

  function line(step, before, withDate) {
    const item = make("li"), at = new Date(step.at);
    const when = withDate ? `${shanghai(at, { month: "2-digit", day: "2-digit" })} ${clockText(at)}` : clockText(at);
    if (before) item.append(make("span", "gap", gap(at - new Date(before.at))));
    item.append(make("span", "tag", STAGE_NAMES[step.stage] || step.service), make("span", "words", step.text));
    item.append(make("div", "when", when));
    return item;
  }

  function right(e) {
    const box = make("div", `right ${e.state}`);
    if (e.amount_fen_per_month) box.append(make("span", "much", `${(e.amount_fen_per_month / 100).toFixed(2)} 元/月`));
    else if (e.unset) box.append(make("span", "much", "标准由当地制定"));
    else if (e.interval_days) box.append(make("span", "much", `每 ${e.interval_days} 天`));
    box.append(make("b", "", e.name), ` ${e.state_name}`);
    const source = [e.from && `${e.from} 起`, e.title, e.locator, e.unpaid || (e.example && "示例")].filter(Boolean).join(" · ");
    box.append(make("small", "", source));
    return box;
  }

  function lost(text) {
    const box = make("div", "right lost");
    box.append(make("b", "", "迁移空档"), make("small", "", text));
    return box;
  }

  async function showPerson(id) {
    const mine = open(`老年人 ${id.slice(0, 8)}`);
    get(`/api/persons/${id}/entitlements`).then((found) => {
      if (mine === asked) entitled.replaceChildren(...found.entitlements.map(right), ...found.gaps.map(lost));
    }, () => {});
    try {
      const { steps, more } = await get(`/api/persons/${id}/steps`);
      if (mine !== asked) return;
      say(steps.length ? (more ? "仅显示最近两百步" : "") : "还没有记录到这位老年人的经过。");
      timeline.replaceChildren(...steps.map((step) => {
        const item = line(step, null, true), link = make("button", "", "链路");
        link.addEventListener("click", () => showTrace(step.changes[0]));
        item.prepend(link);
        return item;
      }));
    } catch (error) {
      if (mine === asked) say(error.message === "403" ? "这位老年人不在您的辖区。" : "暂时读取不到，请稍后再试。");
    }
  }

  async function showTrace(id) {
    const mine = open("由同一次变化引出的每一步");
    try {
      const { steps } = await get(`/api/trace/${id}`);
      if (mine !== asked) return;
      say(steps.length ? "" : "还没有记录到这次变化的经过。");
      timeline.replaceChildren(...steps.map((step, n) => line(step, steps[n - 1], n === 0)));
    } catch {
      if (mine === asked) say("暂时读取不到，请稍后再试。");
    }
  }

  document.getElementById("close").addEventListener("click", () => {
    asked++;
    panel.hidden = true;
    hint.hidden = false;
  });
  return { showPerson, showTrace };
})();
