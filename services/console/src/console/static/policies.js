// A list before and after its publication: changes, persons, costs, signatures, halt.
"use strict";

(() => {
  const { count, yuan, difference, table, money } = sheets;
  const by = (id) => document.getElementById(id);
  const AGAIN_MS = 2000;
  let asked = 0;

  function say(id, text) {
    by(id).textContent = text;
    by(id).hidden = !text;
  }

  function dayTime(text) {
    const at = new Date(text);
    return `${shanghai(at, { year: "numeric", month: "2-digit", day: "2-digit" })} ${clockText(at)}`;
  }

  async function showPolicies() {
    const { policies } = await get("/api/policies");
    by("policies").replaceChildren(...policies.map((one) => {
      const line = make("li"), link = make("a"), state = make("span", `tag ${one.state}`, one.state_name);
      link.href = `#${one.version}`;
      link.append(make("b", "", one.area_name), state, make("small", "", `${dayTime(one.proposed_at)} · 签名 ${one.signatures}`));
      line.append(link);
      return line;
    }));
    by("none").hidden = policies.length > 0;
    mark();
  }

  function mark() {
    for (const link of document.querySelectorAll(".versions a")) {
      link.classList.toggle("chosen", link.hash === location.hash);
    }
  }

  function steps(policy, simulation) {
    const done = simulation?.state === "complete", signed = policy.approvals.filter((a) => a.counts).length;
    const faults = policy.faults.filter((f) => f.severity === "error").length, included = policy.inclusion.included;
    const published = Boolean(policy.published_at) && policy.state !== "proposed" && policy.state !== "approved";
    return [
      ["核对", faults ? "bad" : "done", faults ? `${faults}处错误` : "没有错误"],
      ["不低于上级", included ? "done" : "bad", included ? "成立" : "有人所得更少"],
      ["模拟", done ? "done" : "", simulation ? simulation.state_name : "没有模拟"],
      ["签批", signed >= policy.approvals_needed ? "done" : "", `${signed} / ${policy.approvals_needed}`],
      ["公布", published ? "done" : "", published ? dayTime(policy.published_at) : "尚未公布"],
      ["停用", policy.halt ? "bad" : "", policy.halt ? (policy.halt.by_itself ? "自动停用" : "人工停用") : "未停用"],
    ];
  }

  function showGate(policy, simulation) {
    by("gate").replaceChildren(...steps(policy, simulation).map(([name, state, text]) => {
      const line = make("li", state);
      line.append(make("b", "", name), make("span", "", text));
      return line;
    }));
  }

  function showPolicy(policy) {
    by("policy-title").textContent = `${policy.area_name} · ${policy.version.slice(0, 8)}`;
    by("policy-state").textContent = policy.running ? `${policy.state_name}，生效中` : policy.state_name;
    by("policy-state").className = `tag ${policy.state}`;
    const halt = policy.halt;
    say("halt", halt ? `${dayTime(halt.at)} ${halt.by_itself ? "超出模拟范围，自动停用" : `由 ${halt.by} 停用`}：${halt.reason}。此前的清单已恢复生效。` : "");
    showRedecision(policy.redecision);
    by("change-count").textContent = `${policy.changes.length}处`;
    by("changes").replaceChildren(policy.changes.length ? table([
      ["起始日", (c) => c.on || "不影响决定"], ["项目", (c) => c.title || "—"], ["修改", (c) => c.text],
    ], policy.changes, (c) => (c.on ? "" : "quiet-line")) : make("p", "empty", "与所对照的清单相同"));
    showUnpaid(policy);
    showInclusion(policy);
    showApprovals(policy);
  }

  const unpaidColumns = [
    ["地区", (r) => r.area_name], ["项目", (r) => r.title],
    ["适用期", (r) => (r.to ? `${r.from} 至 ${r.to}（不含）` : `${r.from} 起`)], ["为什么不发放", (r) => r.text],
  ];

  function showUnpaid({ unpaid }) {
    by("policy-unpaid").hidden = unpaid.length === 0;
    by("policy-unpaid-table").replaceChildren(table(unpaidColumns, unpaid));
  }

  async function showUnpaidInForce() {
    const { unpaid, more } = await get("/api/unpaid-items");
    by("unpaid-table").replaceChildren(unpaid.length ? table(unpaidColumns, unpaid)
      : make("p", "empty", "生效清单中的资金都有文件依据，或者这是演示环境，示例也发放。"));
    by("unpaid-count").textContent = unpaid.length ? `${more ? "超过" : ""}${unpaid.length}项` : "";
  }

  function showRedecision(again) {
    const far = again && `可能涉及${count(again.people_touched)}人，已复核${count(again.people)}人，决定有变化${count(again.people_changed)}人`;
    say("redecision", again ? `重新认定${again.redecided_at ? "已完成" : "进行中"}：${far}` : "");
  }

  function example(one, className) {
    const box = make("div", `right ${className}`), until = one.to ? `至 ${one.to}（不含）` : "起";
    box.append(make("b", "", one.name), make("p", "", one.sentence));
    box.append(make("p", "", `反例：${one.person}`));
    box.append(make("p", "", `${one.parent_name}清单给予：${one.parent_gives}；本清单给予：${one.child_gives}`));
    box.append(make("small", "", [`${one.from} ${until}`, one.deviation].filter(Boolean).join(" · ")));
    return box;
  }

  function showInclusion({ inclusion, faults }) {
    by("above").textContent = inclusion.above.length ? `对照${inclusion.above.join("、")}` : "没有上级清单";
    const told = inclusion.included ? "成立：逐项逐日核对，没有人按本清单所得少于上级清单。" : "不成立：按本清单，下列情形的人所得少于上级清单，不能签批。";
    by("inclusion").replaceChildren(
      make("p", inclusion.included ? "notice good" : "notice bad", told),
      ...faults.map((f) => make("p", f.severity === "error" ? "notice bad" : "notice", `核对：${f.text}`)),
      ...inclusion.undecided.map((name) => make("p", "notice bad", `${name}：条件组合太多，无法逐一核对`)),
      ...inclusion.narrower.map((one) => example(one, "suspended")),
      ...inclusion.deviating.map((one) => example(one, "lost")),
    );
  }

  function showApprovals(policy) {
    by("approval-count").textContent = `需要 ${policy.approvals_needed} 名不同的审批人员`;
    say("blocked", policy.blocked || "");
    const proposed = { what: "拟议", by: policy.proposed_by, at: policy.proposed_at, note: "" };
    const signed = policy.approvals.map((a) => ({
      what: "签批", by: a.by, at: a.at,
      note: `依据模拟 ${(a.simulation_id || "").slice(0, 8)}${a.counts ? "" : "，已失效"}`,
    }));
    by("approvals").replaceChildren(table([
      ["步骤", (r) => r.what], ["人员", (r) => r.by], ["时间", (r) => dayTime(r.at)], ["依据", (r) => r.note],
    ], [proposed, ...signed]));
  }

  function figure(name, text, tone = "") {
    const box = make("div", `figure ${tone}`);
    box.append(make("p", "name", name), make("p", "value", text));
    return box;
  }

  function showSimulation(found) {
    const share = found ? (found.state === "complete" ? 1 : found.chunks ? found.chunks_done / found.chunks : 0) : 0;
    by("progress").value = share;
    by("progress-text").textContent = found ? `${found.state_name} ${Math.floor(share * 100)}%` : "还没有模拟";
    const span = found ? `自 ${found.first_month} 起 ${found.months} 个月 · ${dayTime(found.requested_at)} · ${found.simulation_id.slice(0, 8)}` : "";
    by("simulation-note").textContent = found?.fault ? `${span} · ${found.fault}` : span;
    const result = found?.result;
    by("tables").hidden = !result;
    const small = result?.suppressed ? ["少于5人的数不显示，其余按5取整。"] : [];
    const barred = result?.barred_fen ? [`另有仅有示例标准、不予发放的 ${yuan(result.barred_fen)} 元，未计入资金。`] : [];
    by("summary").replaceChildren(...[...(result?.summary || []), ...barred, ...small].map((text) => make("li", "", text)));
    by("figures").replaceChildren(...(result ? figures(result.total) : []));
    if (result) showTables(result);
  }

  function figures(t) {
    return [
      figure("涉及人数", count(t.people)), figure("有变化", count(t.changed)), figure("只增", count(t.winners)),
      figure("只减", count(t.losers), "red"), figure("有增有减", count(t.mixed), "gold"), figure("需补充或选择", count(t.asked), "gold"),
      figure("原应发（元）", yuan(t.fen_before)), figure("新应发（元）", yuan(t.fen_after)), figure("增减（元）", difference(t.fen_before, t.fen_after)),
    ];
  }

  function showTables(result) {
    const number = (name, key) => [name, (row) => count(row[key]), true];
    by("levels").replaceChildren(table([["地区", (r) => r.name], ["财政层级", (r) => r.fund_name], ...money], result.levels));
    by("months").replaceChildren(table([["月份", (r) => r.month], ["地区", (r) => r.name], ["财政层级", (r) => r.fund_name], ...money], result.months));
    by("groups").replaceChildren(table([
      ["地区", (r) => r.name], ["年龄", (r) => r.age_name], number("人数", "people"), number("有变化", "changed"), number("只增", "winners"),
      number("只减", "losers"), number("有增有减", "mixed"), number("需补充", "asked"), ...money,
    ], result.groups, (r) => (r.age_band === null ? "sum" : "")));
    by("items").replaceChildren(table([
      ["项目", (r) => r.title], number("原有", "have_before"), number("新有", "have_after"), number("新增", "gained"), number("失去", "lost"),
      number("提高", "more"), number("降低", "less"), number("需补充", "asked"), number("被抑制", "suppressed"),
    ], result.items));
  }

  async function showChosen() {
    const mine = ++asked, version = location.hash.slice(1);
    mark();
    by("detail").hidden = !version;
    by("choose").hidden = Boolean(version);
    if (version) await show(mine, version);
  }

  async function show(mine, version) {
    try {
      const policy = await get(`/api/policies/${version}`);
      const found = policy.simulation_id ? await get(`/api/simulations/${policy.simulation_id}`) : null;
      if (mine !== asked) return;
      showPolicy(policy);
      showGate(policy, found);
      showSimulation(found);
      if (isOpen(found)) later(mine, () => followSimulation(mine, policy, found.simulation_id));
      else if (policy.redecision && !policy.redecision.redecided_at) later(mine, () => followRedecision(mine, version));
    } catch (error) {
      if (mine !== asked) return;
      by("detail").hidden = true;
      by("choose").hidden = false;
      by("choose").textContent = error.message === "403" ? "这份清单不在您的辖区。" : "暂时读取不到，请稍后再试。";
    }
  }

  function isOpen(simulation) {
    return Boolean(simulation) && ["waiting", "running"].includes(simulation.state);
  }

  function later(mine, then) {
    setTimeout(() => { if (mine === asked) then().catch(() => later(mine, then)); }, AGAIN_MS);
  }

  // read the whole page again only after a job has ended: its proof takes a second
  async function followSimulation(mine, policy, id) {
    const found = await get(`/api/simulations/${id}`, true);
    if (mine !== asked) return;
    showGate(policy, found);
    showSimulation(found);
    if (isOpen(found)) later(mine, () => followSimulation(mine, policy, id));
    else await show(mine, policy.version);
  }

  async function followRedecision(mine, version) {
    const found = await get(`/api/policies/${version}/redecision`, true);
    if (mine !== asked) return;
    showRedecision(found);
    if (!found.redecided_at) later(mine, () => followRedecision(mine, version));
    else await Promise.all([show(mine, version), showPolicies()]);
  }

  addEventListener("hashchange", showChosen);
  showPolicies().catch(() => { say("none", "暂时读取不到，请稍后再试。"); });
  showUnpaidInForce().catch(() => { by("unpaid-count").textContent = "暂时读取不到，请稍后再试。"; });
  showChosen();
})();
